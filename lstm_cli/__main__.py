"""``python -m lstm_cli``, the same as ``lstm``."""

from .cli import main

if __name__ == "__main__":
    main()
