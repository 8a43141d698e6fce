"""The kinds of network by name: one entry is all that training and the command line know of them."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from voiceflow_ml.commands import train
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.models.architectures import ARCHITECTURES, architecture_name, find_architecture
from voiceflow_ml.training.presets import fast_cnn_run, plain_run


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_entry_names_a_network_and_a_configuration_that_is_known_again(name: str) -> None:
    architecture = find_architecture(name)
    assert architecture_name(architecture.configure()) == name
    module, _, network = architecture.network.partition(":")
    spec = find_spec(module)
    assert spec is not None
    tree = ast.parse(Path(str(spec.origin)).read_text(encoding="utf-8"))
    assert network in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


def test_each_has_a_command() -> None:
    assert {command.name for command in train.app.registered_commands} >= set(ARCHITECTURES)


def test_a_network_without_runs_of_its_own_has_those_of_the_fast_cnn() -> None:
    assert plain_run("fast-cnn", "small") == fast_cnn_run("small")
    run = plain_run("transformer", "small")
    assert run == replace(fast_cnn_run("small"), model=find_architecture("transformer").configure())


@dataclass(frozen=True)
class Stranger:
    embedding_dim: int = 8


def test_what_is_in_no_entry_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="unknown architecture 'tree'; known are fast-cnn and transformer"):
        find_architecture("tree")
    with pytest.raises(ConfigError, match="Stranger is the configuration of no known architecture"):
        architecture_name(Stranger())
