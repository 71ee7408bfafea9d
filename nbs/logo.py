"Draw nbs/images/logo.svg, half a cat and half a dog, with the pen of the drawn pictures: `python nbs/logo.py`."
from pathlib import Path

import numpy as np

from dogscats_course.drawing.pen import _FUR, _both, _curve, _ink, _leaf, _limb, _oval

root = Path(__file__).resolve().parent.parent

def _hex(c): return '#' + ''.join(f'{v:02x}' for v in _ink(c))

def _path(points, colour):
    "Return a closed shape as SVG; one unit of the pen becomes 100"
    d = ' '.join(f'{100*x:.1f} {100*y:.1f}' for x, y in points)
    return f'<path fill="{colour if isinstance(colour, str) else _hex(colour)}" d="M{d}Z"/>'

def _half(points, side):
    "Return the part of a shape on one side of the middle: -1 for left, 1 for right"
    p = np.array(points)
    return np.stack([side*np.maximum(side*p[:, 0], 0), p[:, 1]], 1)

def logo():
    "Return the text of the SVG file"
    orange, rust, brown, cream, dark = (_FUR[k] for k in ('orange', 'rust', 'brown', 'cream', 'black'))
    cat = _curve(_both([(.42, -.8), (.84, -.5), (1.02, .02), (1.04, .38), (.72, .74), (.34, .92)], -.82, .96), 9)
    dog = _curve(_both([(.45, -.8), (.8, -.46), (.88, .02), (.8, .42), (.56, .8), (.3, .94)], -.82, .96), 9)
    ear = _curve([(-.2, -.72), (-.52, -1.1), (-.86, -1.4), (-.9, -1.36), (-.96, -.84), (-.97, -.2), (-.6, -.3)], 8)
    inner = (ear - ear.mean(0))*.56 + ear.mean(0) + (0, .06)
    flap = _curve([(.4, -.8), (.76, -.84), (1.14, -.4), (1.26, .2), (1.1, .62), (.86, .3), (.76, -.28)], 9)
    muzzle = _curve(np.array(_both([(.5, -.85), (.95, -.2), (.95, .45), (.5, .8)], -1., .7))*(.46, .4) + (0, .52), 9)
    nose = _curve(np.array(_both([(.8, -.75), (.95, -.1), (.5, .6)], -.85, .85))*(.2, .16) + (0, .28), 9)
    stripes = [_leaf((-.12, -.42), (-.16, -.79), .1), _leaf((-.36, -.44), (-.5, -.76), .1)] + [_leaf((-.68, y), (-1, y + .06), .09) for y in (.1, .3)]
    mouth = [_limb([(0, .38), (0, .62)], [.05, .05]), *(_limb([(0, .6), (s*.16, .72), (s*.34, .64)], [.05, .05, .03]) for s in (-1, 1))]
    shapes = [(ear, orange), (inner, '#e6a19b'), (_half(cat, -1), orange), *((s, rust) for s in stripes), (_half(dog, 1), cream), (flap, brown),
              (_half(muzzle, -1), cream), (_half(muzzle, 1), '#fffaf2'), *((m, dark) for m in mouth), (nose, dark),
              (_oval(-.42, -.04, .21, .19, .15, 40), '#f3e8b0'), (_oval(-.42, -.04, .09, .17, n=40), dark),
              (_oval(.38, -.08, .16, .17, n=40), dark), (_oval(.44, -.14, .05), '#ffffff'), (_oval(-.37, -.11, .04), '#ffffff')]
    return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="-142 -148 284 260" role="img"><title>Half a cat, half a dog</title>\n'
            + '\n'.join(_path(*s) for s in shapes) + '\n</svg>\n')

if __name__ == '__main__': (root/'nbs/images/logo.svg').write_text(logo(), encoding='utf-8', newline='\n')
