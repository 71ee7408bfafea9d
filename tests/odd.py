"""Files and folders as people have them, and as nobody should: each function makes one kind.

`photos` and `not_photos` give {name: bytes}; the names say what is odd about them."""
import io, struct, zlib
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

def picture(w=64, h=48, seed=0, mode='RGB'):
    "Return a picture of smooth random colours, of which no two seeds look alike"
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((w, h), Image.BICUBIC).convert(mode)

def saved(im, kind, **kwargs):
    file = io.BytesIO()
    im.save(file, kind, **kwargs)
    return file.getvalue()

# --- PNG, chunk by chunk ---

def chunk(name, data): return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))

def with_chunk(png, name, data):
    "Return a PNG with one more chunk after its header"
    end = 8 + 25  # the signature and IHDR
    return png[:end] + chunk(name, data) + png[end:]

def png_of(w, h, rows=None):
    "Return a grey PNG of `w`×`h` pixels, all black; or one that holds only `rows` of its rows"
    pack = zlib.compressobj(1)
    packed = b''.join(pack.compress(bytes(w + 1)) for _ in range(h if rows is None else rows)) + pack.flush()
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', w, h, 8, 0, 0, 0, 0)) + chunk(b'IDAT', packed) + chunk(b'IEND', b'')

def bomb(): return png_of(60000, 60000, rows=1)

# --- JPEG, segment by segment ---

def with_exif(jpeg, exif): return jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(exif) + 8) + b'Exif\0\0' + exif + jpeg[2:]

def orientation_alone(value):
    "Return EXIF data that breaks off right after its orientation: the entry that follows is missing"
    return b'II*\0\x08\0\0\0' + struct.pack('<H', 2) + struct.pack('<HHIHH', 0x0112, 3, 1, value, 0)

def many_scans(n, w=2400, h=2400):
    "Return a progressive JPEG whose last scan is repeated until there are `n`"
    data = saved(picture(w, h), 'jpeg', progressive=True, quality=30)
    last = data.rindex(b'\xff\xda')
    return data[:last] + (n - data.count(b'\xff\xda') + 1)*data[last:-2] + data[-2:]

def huge_jpeg(megapixels):
    "Return a JPEG of so many million pixels, as phones take them, though of one colour"
    side = int((megapixels*1e6)**.5)//16*16
    return saved(Image.new('RGB', (side, side), (200, 120, 40)), 'jpeg', quality=50)

# --- photos ---

def photos():
    "Return {name: bytes} of photos that are odd, and whose pixels are whole"
    im = picture()
    text = PngInfo()
    text.add_text('diary', 'x'*2_000_000, zip=True)
    png, jpeg = saved(im, 'png'), saved(im, 'jpeg', quality=95)
    return {
        'rubbish_in_exif.png': with_chunk(png, b'eXIf', b'\x13\x37'*50),
        'two_million_letters.png': saved(im, 'png', pnginfo=text),
        'bad_colour_profile.png': with_chunk(png, b'iCCP', b'x\0\x07rubbish'),
        'half_exif.jpg': with_exif(jpeg, b'II*\0\x08\0\0\0\x05\0\x12\x01'),
        'no_exif_at_all.jpg': with_exif(jpeg, b''),
        'exif_points_nowhere.jpg': with_exif(jpeg, b'MM\0*\xff\xff\xff\xff'),
        'grey.jpg': saved(im.convert('L'), 'jpeg'),
        'cmyk.jpg': saved(im.convert('CMYK'), 'jpeg'),
        'progressive.jpg': saved(im, 'jpeg', progressive=True),
        'a_png.jpg': png,
        'a_jpeg.png': jpeg,
        'moving.gif': saved(im, 'gif', save_all=True, append_images=[picture(seed=1)]),
        'moving.webp': saved(im, 'webp', save_all=True, append_images=[picture(seed=1)]),
        'palette.png': saved(im.quantize(16), 'png'),
        'clear.png': saved(im.convert('RGBA'), 'png'),
        'bits.png': saved(im.convert('1'), 'png'),
        'deep.png': saved(Image.fromarray(np.asarray(im.convert('L')).astype(np.uint16)*257), 'png'),
        'deep.tif': saved(Image.fromarray(np.asarray(im.convert('L')).astype(np.uint16)*257), 'tiff'),
        'floats.tif': saved(im.convert('F'), 'tiff'),
        'cmyk.tif': saved(im.convert('CMYK'), 'tiff'),
        'pages.tif': saved(im, 'tiff', save_all=True, append_images=[picture(seed=1)]),
        'old.bmp': saved(im, 'bmp'),
        'plain.ppm': saved(im, 'ppm'),
        'new.avif': saved(im, 'avif'),
        'wavelet.jp2': saved(im, 'jpeg2000'),
        'stereo.mpo': saved(im, 'mpo', save_all=True, append_images=[picture(seed=1)]),
        'from_windows.jfif': jpeg,
        'LOUD.JPG': jpeg,
    }

def not_photos():
    "Return {name: bytes} of files that are called photos, and are none"
    jpeg, png = saved(picture(), 'jpeg'), saved(picture(), 'png')
    return {
        'empty.jpg': b'',
        'one_byte.jpg': b'\xff',
        'page.jpg': b'<html><body>404 Not Found</body></html>',
        'script.jpg': b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\n{} loop\n',
        'script.eps.png': b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n',
        'stars.jpg': b'SIMPLE  =                    T' + b' '*50 + b'BITPIX  =                    8',
        'drawing.jpg': b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        'half.jpg': jpeg[:len(jpeg)//2],
        'half.png': png[:len(png)//2],
        'header.jpg': jpeg[:20],
        'phone.heic': b'\0\0\0\x18ftypheic\0\0\0\0mif1heic' + bytes(99),
        'phone.jpg': b'\0\0\0\x18ftypheic\0\0\0\0mif1heic' + bytes(99),
        'bomb.png': bomb(),
        'pickle.jpg': b"cos\nsystem\n(S'echo'\ntR.",
        'zip.jpg': b'PK\x03\x04' + bytes(60),
        'text.png': b'\x89PNG\r\n\x1a\n' + b'not a chunk',
        'wrong_checksum.png': png[:40] + bytes([png[40] ^ 255]) + png[41:],
    }

def write(folder, files):
    "Write {name: bytes} to a folder, and return the paths"
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items(): (folder/name).write_bytes(data)
    return [folder/name for name in files]

# --- names ---

names = {
    'persian plural': 'گربه\u200cها', 'no-break space': 'big\u00a0cats', 'ideographic space': '猫\u3000犬', 'dollars': 'Ba$$in',
    'prices': '$5-$10', 'accents': 'caf\u00e9', 'emoji': '🐱', 'chinese': '猫', 'arabic': 'قطة', 'markup': '<b>cats',
    'quotes': '"it\'s"', 'underscore': '_cats', 'comma': 'cats, dogs', 'backslash': 'a\\b', 'percent': '100%', 'dash': '--csv'}

junk = '.DS_Store', 'Thumbs.db', 'desktop.ini', '._1.jpg', 'ehthumbs.db', 'Icon\r'

def add_junk(folder):
    "Put what Finder and Explorer leave into a folder and all folders in it"
    for d in [Path(folder), *(d for d in Path(folder).rglob('*') if d.is_dir())]:
        for name in junk: (d/name).write_bytes(b'\0\0\0\1Bud1')

# --- folders ---

def pets(root, *folders, n=4, size=32):
    "Make folders below `root` with `n` photos in each, and return `root`"
    for seed, folder in enumerate(folders):
        (Path(root)/folder).mkdir(parents=True, exist_ok=True)
        for i in range(n): picture(size, size, seed=100*seed + i).save(Path(root)/folder/f'{i}.png')
    return Path(root)
