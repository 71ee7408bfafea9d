# Exercise 1: a larger picture
big = torch.empty(1, 3, 320, 320, device='meta')
assert whole[:44](big).shape == (1, 512, 10, 10)
try: whole(big)
except RuntimeError as e: assert '25088' in str(e) or '51200' in str(e)
else: assert False, 'a linear layer took a larger picture'

# Exercise 2: without BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval
plain = [fuse_conv_bn_eval(l, ours[i+1]) if isinstance(l, nn.Conv2d) else l
         for i, l in enumerate(ours) if not isinstance(l, nn.BatchNorm2d)]
plain, a = nn.Sequential(*plain), pairs[-1][0]
assert len(plain) == 31
assert (block_outputs(plain, xb)[-1] - a).abs().max() < 3e-6*a.max()

# Exercise 3: in training
from copy import deepcopy
trains = deepcopy(ours).train()
with torch.no_grad(): alone, among = trains(xb[:1]), trains(xb)[:1]
assert abs(((alone - among).abs().max()/among.abs().max()).item() - 0.56) < 0.05

# Exercise 4: measure the receptive field
def measured_field(n):
    torch.manual_seed(n)
    x = torch.randn(1, 3, 224, 224, device=xb.device, requires_grad=True)
    stop = [i for i, l in enumerate(ours) if isinstance(l, nn.MaxPool2d)][n-1]
    out = ours[:stop+1](x)
    out[0, :, out.shape[2]//2, out.shape[3]//2].sum().backward()
    rows = x.grad[0].abs().sum(0).sum(1).nonzero()
    return (rows.max() - rows.min() + 1).item()
for n, field in enumerate(fields, 1): assert field - 3 <= measured_field(n) <= field
for p in ours.parameters(): p.grad = None

# Exercise 5: build a slimmer VGG
def slim(width, convs=(2, 2, 3, 3, 3)):
    n = [3, *(int(width*maps) for maps in (64, 128, 256, 512, 512))]
    return nn.Sequential(*(layer for i in range(5) for layer in block(n[i], n[i+1], convs[i])))

def costs(width):
    x, outputs = torch.empty(1, 3, 224, 224, device='meta'), 0
    with torch.device('meta'): net = slim(width)
    with FlopCounterMode(display=False) as count:
        for layer in net:
            x = layer(x)
            if isinstance(layer, nn.Conv2d): outputs += x.numel()
    return np.array([n_weights(net), count.get_total_flops()//2, outputs])
assert np.allclose(costs(0.5)/costs(1), [.250, .251, .5], atol=.0006)

# What the prose says of torchvision's figures
right, steps = nets['% right'], nets['billion steps']
assert abs(right['resnet34'] - right['vgg16_bn']) < 0.1 and abs(steps['vgg16_bn']/steps['resnet34'] - 4) < 0.3
assert right['efficientnet_b0'] > right['vgg19_bn'] and abs(steps['vgg16_bn']/steps['efficientnet_b0'] - 40) < 1
assert 4.5 < right['resnet50, V2'] - right['resnet50'] < 5
