"""The sub-commands of ``voiceflow``, one module for each subject."""
