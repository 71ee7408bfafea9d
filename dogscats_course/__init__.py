import warnings

# fastai uses it at import; nobody who trains a classifier can do anything about it
warnings.filterwarnings('ignore', message='`torch.jit.script', category=FutureWarning)

__version__ = "0.1.0"
