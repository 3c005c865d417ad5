"""The responder: Alertmanager's webhook decides, rolls back, and proves it."""
