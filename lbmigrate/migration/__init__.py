"""The six steps, applied and reverted: the driver, the plan, the status, the preview of a rollback."""
