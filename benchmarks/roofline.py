"""The body's operations per second, against those of a large matrix product in the same dtype and the same run.

The dtype is that of `fast_dtype`; if it is int8, the matrix product is oneDNN's int8 linear layer."""
import argparse, statistics, time

from common import save

def best(f, seconds=5):
    "Call `f` for some seconds, and return the least and the median time of a call"
    f()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return min(times), statistics.median(times)

def matrix(dtype, device, n=2048):
    "Return a function that multiplies two n×n matrices"
    import torch
    sync = torch.cuda.synchronize if device.type == 'cuda' else lambda: None
    x, y = (torch.rand(n, n, device=device) for _ in range(2))
    if dtype == 'int8':
        w, scale, zero = (y*127).to(torch.int8), torch.full((n,), 1/127), torch.zeros(n, dtype=torch.int32)
        packed, x = torch.ops.onednn.qlinear_prepack(w, [n, n]), (x*255).to(torch.uint8)
        args = x, 1/255, 0, packed, scale, zero, None, 1., 0, torch.float32, 'none', [], ''
        return lambda: torch.ops.onednn.qlinear_pointwise(*args)
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
        for _ in range(3):  # one after the other, because the speed of a shared machine changes
            (m, _), (b, median) = best(peak), best(run)
            by_matrix, by_body = 2*n**3/m, flops*bs/b
            rows.append(dict(matrix_tflops=round(by_matrix/1e12, 3), body_tflops=round(by_body/1e12, 3),
                             photos_a_second=round(bs/median, 1), part=round(by_body/by_matrix, 3)))
    save('roofline', gflop_a_photo=round(flops/1e9, 2), runs=rows, part=statistics.median(r['part'] for r in rows))

if __name__ == '__main__':
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
