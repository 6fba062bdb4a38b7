"""What it prefers: properties of any module, measured."""
