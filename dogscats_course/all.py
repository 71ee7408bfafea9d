"Everything a lesson needs: `from dogscats_course.all import *`. Written by hand, as fastai's own `vision/all.py` is."
from fastai.vision.all import *

# ours last, so that our names win
from .draw import *
from .about import *
from .memory import *
from .processes import *
from .atomic import *
from .photos import *
from .layout import *
from .data import *
from .weights import *
from .fastbody import *
from .body import *
from .cache import *
from .features import *
from .frozen import *
from .head import *
from .learner import *
from .score import *
from .cam import *
from .show import *
from .predict import *
from .share import *
from .train import *
from .vgg16 import *
from .onnx_file import *
from .publish import *
from .ensemble import *
from .kaggle import *
from .duplicates import *
from .plan import *
from .clean import *
