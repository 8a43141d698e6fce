"""voiceflow-ml: latency promises as pytest verdicts, and the speech models they are made for.

Importing this package imports nothing else; each subpackage brings what it needs.
"""

from __future__ import annotations

__version__ = "0.1.0"
