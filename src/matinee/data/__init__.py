"""Reading logs and side information into one Dataset."""
