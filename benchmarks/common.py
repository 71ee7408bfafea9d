"What the benchmarks share: a folder of photos, a process for each measurement, and a file for the results."
import json, os, platform, re, resource, statistics, subprocess, sys, tempfile, time
from importlib.metadata import version
from pathlib import Path

here = Path(__file__).parent
seed = 42

def photos(folder, n_train, n_valid):
    "A data set of so many photos, half of them cats, linked from the one that DOGSCATS_DATA names"
    source = os.environ.get('DOGSCATS_DATA')
    if not source: sys.exit('Set DOGSCATS_DATA to the folder of real photos that holds train and valid.')
    for split, n in (('train', n_train), ('valid', n_valid)):
        for c in ('cats', 'dogs'):
            dest = Path(folder)/split/c
            dest.mkdir(parents=True)
            files = sorted((Path(source)/split/c).glob('*.jpg'))
            if len(files) < n//2: sys.exit(f'{Path(source)/split/c} has {len(files)} photos, and {n//2} are asked for.')
            for f in files[:n//2]: (dest/f.name).symlink_to(f)
    return Path(folder)

def weights(file):
    "The bundled weights in float32, as a state dict of torchvision's vgg16_bn"
    import torch
    from dogscats_course.weights import vgg_weights
    torch.save(vgg_weights('bundled')[0], file)
    return file

def measure(side, job, cache=None, **args):
    "One measurement in a process of its own; `side` is 'plain' (fastai, and none of our code) or 'ours'"
    with tempfile.TemporaryDirectory() as fresh:
        env = {**os.environ, 'XDG_CACHE_HOME': str(cache or fresh)}
        r = subprocess.run([sys.executable, here/f'{side}.py', json.dumps(dict(dict(job=job, seed=seed), **{k: str(v) if isinstance(v, Path) else v for k, v in args.items()}))],
                           env=env, capture_output=True, text=True)
    if r.returncode: sys.exit(r.stderr)
    result = json.loads(r.stdout.splitlines()[-1])
    print(f'{side:6} {job} {result}', flush=True)
    return result

def report(jobs):
    "In a measuring process: do what the command line asks for, and print its figures; imports are over by now"
    from fastai.vision.all import set_seed
    a = json.loads(sys.argv[1])
    set_seed(a['seed'])
    start = time.perf_counter()
    result = jobs[a['job']](a)
    seconds = time.perf_counter() - start
    print('\n' + json.dumps(dict(seconds=round(seconds, 2), peak_gb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1e6, 2), **{k: round(v, 4) for k, v in result.items()})))

def timed(f):
    "Seconds that `f()` takes"
    start = time.perf_counter()
    f()
    return time.perf_counter() - start

def rate(predict, files):
    "Photos a second of `predict(files)`"
    return dict(photos_a_second=len(files)/timed(lambda: predict(files)))

def machine():
    import psutil, torch
    cpu = torch.cpu.get_capabilities().get('cpu_name') or platform.processor()
    return dict(cpu=cpu, cores=os.cpu_count(), memory_gib=round(psutil.virtual_memory().total/2**30),
                gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None, python=platform.python_version(),
                **{p: version(p) for p in ('torch', 'torchvision', 'fastai', 'dogscats_course')})

def ratios(values): return dict(median=round(statistics.median(values), 2), min=round(min(values), 2), max=round(max(values), 2), n=len(values))

def numbers():
    "What features are computed in here, and what training runs in"
    from dogscats_course.fastbody import fast_dtype, has_bfloat16
    from fastai.vision.all import default_device
    return dict(features=fast_dtype(default_device()), training='bfloat16' if has_bfloat16(default_device()) else 'float32')

def _file(name):
    m = machine()
    return here/'results'/re.sub(r'\W+', '_', (m['gpu'] or f"{m['cpu']} {m['cores']} cores").lower())/f'{name}.json'

def result(name):
    "What the last run of a benchmark saved, or None"
    return json.loads(_file(name).read_text()) if _file(name).exists() else None

def save(name, **results):
    "Write results/MACHINE/NAME.json, and print what it says"
    out = dict(benchmark=name, date=time.strftime('%Y-%m-%d'), seed=seed, machine=machine(), **numbers(), **results)
    text = json.dumps(out, indent=1)
    _file(name).parent.mkdir(parents=True, exist_ok=True)
    _file(name).write_text(text + '\n')
    print(text)
