"""Every code block of the documents, checked by what it is written in: ``CHECKS`` in ``checks`` says how."""
