"""Run as a script in a process of its own: `onnx.checker` on one file.

Exit 0: well-formed; 3: the checker's sentence is on stdout; anything else: the checker died.
"""

import sys


def main() -> int:
    """Check the file named on the command line."""
    import onnx
    import onnx.checker

    try:
        onnx.checker.check_model(sys.argv[1], full_check=False)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        sys.stdout.write(str(error)[:2000])
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
