"`python -m dogscats_course` is `dogscats`. Written by hand: a notebook that runs would run this, too."
import sys

from dogscats_course.cli import main

if __name__ == '__main__': sys.exit(main())
