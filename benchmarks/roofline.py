"""The body's operations a second, against the peak of a large matrix product in the same numbers on this machine, measured in the same run.

Numbers are those of `fast_dtype`; where it is int8, oneDNN's int8 linear layer is the matrix product."""
import argparse, statistics, time

from common import save

def best(f, seconds=5):
    "The least time of a call, over some seconds"
    f()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return min(times), statistics.median(times)

def matrix(dtype, device, n=2048):
    "A product of two n×n matrices, as a function"
    import torch
    sync = torch.cuda.synchronize if device.type == 'cuda' else lambda: None
    x, y = (torch.rand(n, n, device=device) for _ in range(2))
    if dtype == 'int8':
        w, scale, zero = (y*127).to(torch.int8), torch.full((n,), 1/127), torch.zeros(n, dtype=torch.int32)
        packed, x = torch.ops.onednn.qlinear_prepack(w, [n, n]), (x*255).to(torch.uint8)
        return lambda: torch.ops.onednn.qlinear_pointwise(x, 1/255, 0, packed, scale, zero, None, 1., 0, torch.float32, 'none', [], '')
    x, y = x.to(getattr(torch, dtype)), y.to(getattr(torch, dtype))
    def product():
        x @ y
        sync()
    return product

def main():
    import torch
    from fastai.vision.all import default_device
    from torch.utils.flop_counter import FlopCounterMode
    from torchvision.models import vgg16_bn
    from dogscats_course.memory import held_memory
    from dogscats_course.fastbody import fast_body, fast_dtype
    from dogscats_course.weights import vgg_weights
    device, n = default_device(), 2048
    dtype, bs = fast_dtype(device), 16 if device.type == 'cpu' else 256
    net = vgg16_bn()
    net.load_state_dict(vgg_weights('bundled')[0], strict=False)
    body = torch.nn.Sequential(net.features).to(device).eval()
    x = torch.rand(bs, 3, 224, 224, device=device).contiguous(memory_format=torch.channels_last)
    with torch.no_grad(), held_memory():
        with FlopCounterMode(display=False) as counter: body(x[:1])
        flops = counter.get_total_flops()
        fast, peak = fast_body(body, x[:16], dtype), matrix(dtype, device, n)
        def run():
            fast(x)
            if device.type == 'cuda': torch.cuda.synchronize()
        rows = []
        for _ in range(3):  # side by side, for a shared machine's speed changes
            (m, _), (b, median) = best(peak), best(run)
            rows.append(dict(matrix_tflops=round(2*n**3/m/1e12, 3), body_tflops=round(flops*bs/b/1e12, 3), photos_a_second=round(bs/median, 1), part=round(flops*bs/b/(2*n**3/m), 3)))
    save('roofline', gflop_a_photo=round(flops/1e9, 2), runs=rows, part=statistics.median(r['part'] for r in rows))

if __name__ == '__main__':
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
