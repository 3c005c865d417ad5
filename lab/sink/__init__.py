"""The pager's stand-in: takes what Alertmanager sends, answers as the real receivers do, and shows what arrived."""
