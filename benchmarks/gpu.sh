#!/usr/bin/env bash
# Run the tests that need no browser, and each benchmark with few photos, on a machine with PyTorch and a GPU, and
# without a network. Each step ends within nine minutes; what is done is not done again, so an interrupted run goes on.
#
#     benchmarks/gpu.sh FOLDER    # as benchmarks/pack.py made it (default .gpu)
set -uo pipefail
cd "$(dirname "$0")/.."
pack=$(realpath "${1:-.gpu}")
steps=$pack/steps
mkdir -p "$steps"

if [ ! -e "$pack/site" ]; then
    python3 -m pip install -q --no-index --no-deps --no-compile --target "$pack/site" "$pack"/wheels/*.whl || exit 2
fi
export PYTHONPATH=$PWD:$pack/site DOGSCATS_DATA=$pack/photos PYTHONWARNINGS=ignore
export XDG_CACHE_HOME=$pack/cache FASTAI_HOME=$pack/fastai

step() {  # NAME COMMAND...: run a command once; its output is in steps/NAME.log, and steps/NAME says that it succeeded
    local name=$1; shift
    if [ -e "$steps/$name" ]; then return; fi
    if timeout 540 "$@" > "$steps/$name.log" 2>&1; then touch "$steps/$name"; echo "$name: done"
    else echo "$name: status $? (124: longer than nine minutes), see $steps/$name.log"; tail -n 5 "$steps/$name.log"; fi
}

python3 -c 'import torch; print(torch.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU")'

# first what only a GPU can show
step test_gpu python3 -m pytest -q tests/test_gpu.py
step roofline python3 benchmarks/roofline.py
step decode python3 benchmarks/decode.py
step train python3 benchmarks/train.py --again --fine-tune --sizes 200/100 200/100 200/100
step predict python3 benchmarks/predict.py
step lastblock python3 benchmarks/lastblock.py --size 200/100
step finetune python3 benchmarks/finetune.py
step accuracy python3 benchmarks/accuracy.py --sizes 300/100 --seeds 3
step command python3 benchmarks/command.py --size 200/100 --runs 3
step full python3 benchmarks/full.py

# then the other tests; those of the site, the lessons and the package need a browser, Jupyter or pip
for file in tests/test_*.py; do
    name=$(basename "$file" .py)
    case $name in test_gpu|test_site|test_page|test_report|test_lessons|test_notebooks|test_package|test_publish) continue;; esac
    step "$name" python3 -m pytest -q "$file"
done
