"""What an auditor pins."""
