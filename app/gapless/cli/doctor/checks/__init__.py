"""The checks. None knows another one."""
