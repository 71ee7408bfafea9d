"`from dogscats_course.all import *` imports fastai's names and ours; ours win."
import dogscats_course.all as everything

OURS = '''dogscats draw_dogscats check_layout make_dls vgg_learner trainable train_classifier Vgg16 plots score save_classifier load_classifier
    LayoutError vgg_weights pooled_features class_probs open_photo
    near_duplicates clean_plan ImageCleaner'''.split()

def test_names():
    names = {}
    exec('from dogscats_course.all import *', names)
    assert all(callable(names[n]) and names[n].__module__.startswith('dogscats_course.') for n in OURS)
    assert {'Path', 'vision_learner', 'ImageDataLoaders', 'set_seed', 'accuracy'} <= set(names)
    assert hasattr(names['Learner'], 'fit_head') and isinstance(names['Learner'].history, property)
    assert everything.plots.__name__ == 'plots', 'a function, not a module'
