"""What is typed: flags of declared options, flags that commands share, and settings instead of flags."""
