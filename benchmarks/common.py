"Shared by the benchmarks: a folder of photos, a process per measurement, and a file for the results."
import json, os, platform, re, resource, statistics, subprocess, sys, tempfile, time
from importlib.metadata import version
from pathlib import Path

here = Path(__file__).parent
seed = 42

def photos(folder, n_train, n_valid):
    "Make a data set of links to photos of DOGSCATS_DATA, half of them cats, and return its folder"
    source = os.environ.get('DOGSCATS_DATA')
    if not source: sys.exit('Set DOGSCATS_DATA to the folder of real photos that holds train and valid.')
    for split, n in (('train', n_train), ('valid', n_valid)):
        for c in ('cats', 'dogs'):
            dest = Path(folder)/split/c
            dest.mkdir(parents=True)
            files = sorted((Path(source)/split/c).glob('*.jpg'))
            if len(files) < n//2: sys.exit(f'{Path(source)/split/c} has {len(files)} photos, but {n//2} are needed.')
            for f in files[:n//2]: (dest/f.name).symlink_to(f)
    return Path(folder)

def weights(file):
    "Write the bundled weights to `file`, in float32, as a state dict of torchvision's vgg16_bn"
    import torch
    from dogscats_course.weights import vgg_weights
    torch.save(vgg_weights('bundled')[0], file)
    return file

def measure(side, job, cache=None, **args):
    "Measure a job in its own process, and return the figures; `side` is 'plain' (fastai, none of our code) or 'ours'"
    text = {k: str(v) if isinstance(v, Path) else v for k, v in args.items()}
    job_args = json.dumps(dict(dict(job=job, seed=seed), **text))
    with tempfile.TemporaryDirectory() as fresh:
        env = {**os.environ, 'XDG_CACHE_HOME': str(cache or fresh)}
        r = subprocess.run([sys.executable, here/f'{side}.py', job_args], env=env, capture_output=True, text=True)
    if r.returncode: sys.exit(r.stderr)
    result = json.loads(r.stdout.splitlines()[-1])
    print(f'{side:6} {job} {result}', flush=True)
    return result

def report(jobs):
    "In a measuring process: run the job that the command line names, and print its figures; imports are not timed"
    from fastai.vision.all import set_seed
    a = json.loads(sys.argv[1])
    set_seed(a['seed'])
    start = time.perf_counter()
    result = jobs[a['job']](a)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1e6
    figures = {k: round(v, 4) for k, v in result.items()}
    print('\n' + json.dumps(dict(seconds=round(seconds, 2), peak_gb=round(peak, 2), **figures)))

def timed(f):
    "Return the seconds that `f()` takes"
    start = time.perf_counter()
    f()
    return time.perf_counter() - start

def rate(predict, files):
    "Return the photos per second of `predict(files)`"
    return dict(photos_a_second=len(files)/timed(lambda: predict(files)))

def machine():
    "Describe this machine: its processor, memory, GPU and the versions installed"
    import psutil, torch
    cpu = torch.cpu.get_capabilities().get('cpu_name') or platform.processor()
    isa = torch.backends.cpu.get_cpu_capability()
    if isa != 'AVX512': cpu += f', {isa}'  # one name may stand for old cores and new ones
    return dict(cpu=cpu, cores=os.cpu_count(), memory_gib=round(psutil.virtual_memory().total/2**30),
                gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
                python=platform.python_version(), **{p: version(p) for p in ('torch', 'torchvision', 'fastai', 'dogscats_course')})

def ratios(values):
    "Return median, least, greatest and number of `values`"
    return dict(median=round(statistics.median(values), 2), min=round(min(values), 2), max=round(max(values), 2),
                n=len(values))

def dtypes():
    "Return the dtypes in which this machine computes features and trains"
    from dogscats_course.fastbody import fast_dtype, has_bfloat16
    from fastai.vision.all import default_device
    device = default_device()
    return dict(features=fast_dtype(device), training='bfloat16' if has_bfloat16(device) else 'float32')

def _file(name):
    m = machine()
    words = m['gpu'] or f"{m['cpu']} {m['cores']} cores"
    return here/'results'/re.sub(r'\W+', '_', words.lower())/f'{name}.json'

def result(name):
    "Return what the last run of a benchmark on this machine saved, or None"
    return json.loads(_file(name).read_text()) if _file(name).exists() else None

def save(name, **results):
    "Write results/MACHINE/NAME.json, and print it"
    date = time.strftime('%Y-%m-%d')
    out = dict(benchmark=name, date=date, seed=seed, machine=machine(), **dtypes(), **results)
    text = json.dumps(out, indent=1)
    _file(name).parent.mkdir(parents=True, exist_ok=True)
    _file(name).write_text(text + '\n')
    print(text)
