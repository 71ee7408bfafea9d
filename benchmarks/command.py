"""`dogscats train` and `dogscats predict` of one photo as whole processes, from start to end, and where their time goes.

Each line of the result contains the one before it: Python itself, the imports, the model, the photo."""
import argparse, os, subprocess, sys, tempfile, time
from pathlib import Path

from common import photos, ratios, save

def seconds(*words, **env):
    "Return how long a process takes"
    start = time.perf_counter()
    subprocess.run([sys.executable, *map(str, words)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **env)
    return time.perf_counter() - start

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', default='600/200', metavar='TRAIN/VALID', help='numbers of photos (default 600/200)')
    parser.add_argument('--runs', type=int, default=5, help='runs of each process (default 5)')
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        path = photos(tmp/'photos', *map(int, a.size.split('/')))
        def dogscats(*words, cache=tmp/'cache'):
            return seconds('-m', 'dogscats_course', *words, env={**os.environ, 'XDG_CACHE_HOME': str(cache)})
        first = dogscats('train', path, '--out', tmp/'runs')
        model, photo = tmp/'runs/latest/model', next((path/'valid/cats').iterdir())
        load = f"from dogscats_course.all import *; load_classifier({str(model)!r})"
        jobs = dict(python=lambda: seconds('-c', 'pass'),
                    imports=lambda: seconds('-c', 'import dogscats_course.predict, dogscats_course.share'),
                    model=lambda: seconds('-c', load),
                    predict=lambda: dogscats('predict', model, photo),
                    train_again=lambda: dogscats('train', path, '--out', tmp/'runs'))
        rows = {name: ratios([job() for _ in range(a.runs)]) for name, job in jobs.items()}
    save('command', photos=a.size, train_seconds=round(first, 2), seconds=rows)
