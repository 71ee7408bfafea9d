"Everything a lesson needs: `from dogscats_course.all import *`. Written by hand, as fastai's own `vision/all.py` is."
from fastai.vision.all import *

# ours last, so that our names win
from .draw import *
from .data import *
from .weights import *
from .features import *
from .learner import *
from .show import *
from .share import *
from .train import *
from .vgg16 import *
from .kaggle import *
from .clean import *
from .publish import *
