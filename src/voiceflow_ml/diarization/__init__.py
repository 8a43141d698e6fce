"""Who speaks when: windows -> local activity -> embeddings -> clusters -> turns."""
