"What the answers to the exercises of the appendix say, in its kernel; times are compared loosely, as machines are busy at times"

# 1: two or sixteen
two, sixteen = rate(small, x[:2]), rate(small, torch.cat([x, x]))
print('1:', two, sixteen)
if x.device.type == 'cpu': assert 0.3 < sixteen/two < 3

# 2: half the side
half = F.interpolate(x, size=112)
quarter = rate(last, half)/rate(last, x)
print('2:', quarter)
assert quarter > 1.8

# 3: fifty epochs
learn.freeze()
with learn.no_logging(): fifty = timeit(lambda: learn.fit_head(50))
print('3:', fifty, again)
assert fifty < 30*again

# 4: build a network of few bits
@torch.no_grad()
def with_bits(bits):
    h = x
    for layer in last[0]:
        h = layer(h)
        if isinstance(layer, nn.ReLU): h = rounded(h, bits)
    return torch.cosine_similarity(pool(h), plain).min().item()

cosines = {bits: with_bits(bits) for bits in range(3, 9)}
print('4:', cosines)
assert cosines[8] > 0.9995 and cosines[7] > 0.998 > cosines[6] > 0.98 > cosines[5] > 0.95 > cosines[4] > 0.8 > cosines[3]
