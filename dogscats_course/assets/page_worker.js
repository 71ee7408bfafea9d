// The classifier. It runs beside the page, so that the page never freezes, and takes one picture at a time.
let ort, session, facts, rows;

// --- the start ---

// Unpack base64 of gzip, which is how the page holds its parts.
async function unpacked(base64) {
  const packed = await fetch(`data:application/octet-stream;base64,${base64}`);
  return new Response(packed.body.pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
}

// Return a part of the page; or, if it was left out, that file from the content network, checked by its hash.
async function part(name, parts) {
  if (parts[name]) return unpacked(parts[name]);
  const { url, integrity } = facts.files[name];
  return (await fetch(url, { integrity, mode: 'cors', credentials: 'omit' })).arrayBuffer();
}

async function start(parts) {
  const code = await part('code', parts);
  ort = await import(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
  postMessage({ progress: 0.1 });
  ort.env.wasm.wasmBinary = await part('wasm', parts);
  postMessage({ progress: 0.3 });
  // several threads need memory that they share, which a browser allows only on sites that ask for it by two headers
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
  if (parts.rows) rows = new Int8Array(await unpacked(parts.rows));
  const network = await part('network', parts);
  postMessage({ progress: 0.5 });
  session = await ort.InferenceSession.create(network, { executionProviders: ['wasm'] });
}

// --- a picture's pixels, as Pillow sees them ---

// Return which pixels each of `to` pixels is made of, of a row of `from`, and their weights. This is Pillow's bilinear
// filter, a triangle as wide as the picture shrinks, in whole numbers of which each row adds up to about 2^22. With a
// `step` above 1, it is a filter of the means of so many pixels.
function filter(from, to, step) {
  const cells = Math.ceil(from/step), scale = cells/to, reach = Math.max(1, scale), rows = [];
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5)*scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(cells, Math.trunc(centre + reach + 0.5));
    const weightAt = x => Math.max(0, 1 - Math.abs(Math.floor(x/step) + 0.5 - centre)/reach);
    const pixels = Math.min(from, end*step) - first*step;
    const weights = Array.from({ length: pixels }, (_, j) => weightAt(first*step + j));
    const sum = weights.reduce((a, b) => a + b, 0);
    rows.push({ first: first*step, weights: weights.map(w => Math.round(w/sum*2**22)) });
  }
  return rows;
}

// Return how many times smaller Python decodes a JPEG of this size, which saves time: it takes means of such squares.
function jpegStep(width, height, size) { return [8, 4, 2].find(n => Math.min(width, height) >= n*size) ?? 1; }

// Return a weighted mean of the numbers `a[start]`, `a[start + step]`, …, rounded to a whole number from 0 to 255.
function mean(a, start, step, weights) {
  let sum = 2**21;
  for (let j = 0; j < weights.length; j++) sum += a[start + j*step]*weights[j];
  return Math.min(255, sum >> 22);
}

// Return the pixels of a picture made `size` wide, as rows of red, green, blue. It is read in strips, to save memory.
function narrowed(bitmap, size, step, strip = 256) {
  const { width, height } = bitmap, columns = filter(width, size, step), out = new Uint8Array(size*height*3);
  const canvas = new OffscreenCanvas(width, Math.min(strip, height));
  const context = canvas.getContext('2d', { willReadFrequently: true });
  for (let top = 0; top < height; top += strip) {
    const rows = Math.min(strip, height - top);
    context.fillStyle = 'white';  // behind what is transparent
    context.fillRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    const pixels = context.getImageData(0, 0, width, rows).data;
    for (let y = 0, o = top*size*3; y < rows; y++)
      for (const { first, weights } of columns)
        for (let c = 0; c < 3; c++) out[o++] = mean(pixels, (y*width + first)*4 + c, 4, weights);
  }
  return out;
}

// Return what the network takes: 3×size×size numbers from 0 to 1, of a picture squished to a square.
function networkInput(bitmap, size, isJpeg) {
  const step = isJpeg ? jpegStep(bitmap.width, bitmap.height, size) : 1;
  const narrow = narrowed(bitmap, size, step), out = new Float32Array(3*size*size);
  filter(bitmap.height, size, step).forEach(({ first, weights }, y) => {
    for (let x = 0; x < size; x++)
      for (let c = 0; c < 3; c++)
        out[(c*size + y)*size + x] = mean(narrow, (first*size + x)*3 + c, size*3, weights)/255;
  });
  return out;
}

// --- an answer ---

// Return the first bytes of a file as text.
async function startOf(file) { return new TextDecoder('latin1').decode(await file.slice(0, 12).arrayBuffer()); }

// Return why a file that the browser could not open is no photo: the name of a sentence.
async function reason(file) {
  if (!file.size) return 'empty';
  const start = await startOf(file);
  if (/^.{4}ftyp(hei|hev|mif1|msf1)/s.test(start)) return 'heic';
  return /^(II\*\0|MM\0\*|\0\0\0\x0cjP|P[1-6]\s)/.test(start) ? 'format' : 'damaged';
}

// Return a picture of what was sent: a file, upright and in the colours that its pixels have, or one that is open.
function opened(source) {
  if (source instanceof ImageBitmap) return source;
  return createImageBitmap(source, { imageOrientation: 'from-image', colorSpaceConversion: 'none' });
}

// Return a small copy of a picture, for the table.
async function thumbnail(bitmap, side = 96) {
  const scale = side/Math.min(bitmap.width, bitmap.height), canvas = new OffscreenCanvas(side, side);
  const [w, h] = [bitmap.width*scale, bitmap.height*scale], context = canvas.getContext('2d');
  context.fillStyle = 'white';
  context.fillRect(0, 0, side, side);
  context.drawImage(bitmap, (side - w)/2, (side - h)/2, w, h);
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.8 });
}

// Return the cosine of the angle between two rows of numbers.
function cosine(a, b) {
  let ab = 0, aa = 0, bb = 0;
  for (let i = 0; i < a.length; i++) {
    ab += a[i]*b[i];
    aa += a[i]*a[i];
    bb += b[i]*b[i];
  }
  return ab/Math.sqrt(aa*bb);
}

// Return how familiar a photo is: the cosine of its features with the k-th nearest of some training photos.
function familiarityOf(features) {
  const cosines = [], n = features.length;
  for (let i = 0; i < rows.length; i += n) cosines.push(cosine(features, rows.subarray(i, i + n)));
  return cosines.sort((a, b) => b - a)[facts.familiarity.k - 1];
}

// Return what the network says of a picture, and whether it is unlike the photos that it was trained on.
async function judgement(bitmap, isJpeg) {
  const { size } = facts, pixels = new ort.Tensor('float32', networkInput(bitmap, size, isJpeg), [1, 3, size, size]);
  const out = await session.run({ photos: pixels });
  const answer = { probabilities: [...out.probabilities.data] };
  if (rows) answer.familiarity = familiarityOf(out.features.data);
  answer.isUnlike = Boolean(rows) && answer.familiarity < facts.familiarity.threshold;
  for (const tensor of [pixels, ...Object.values(out)]) tensor.dispose();
  return answer;
}

async function answer(source, wantsThumbnail) {
  let bitmap;
  try { bitmap = await opened(source); }
  catch { return { error: await reason(source).catch(() => 'damaged') }; }
  try {
    const isJpeg = source instanceof Blob && (await startOf(source)).startsWith('\xff\xd8\xff');
    const begun = performance.now(), found = await judgement(bitmap, isJpeg);
    const seconds = (performance.now() - begun)/1000;
    return { ...found, seconds, thumbnail: wantsThumbnail && await thumbnail(bitmap) };
  } catch { return { error: 'heavy' }; }
  finally { bitmap.close(); }
}

onmessage = async ({ data }) => {
  try {
    if (data.facts) {
      facts = data.facts;
      await start(data.parts);
      postMessage({ ready: true, threads: ort.env.wasm.numThreads });
    } else postMessage(await answer(data.source, data.thumbnail));
  } catch (e) { postMessage({ failed: String(e?.message ?? e) }); }
};
