// The page: photos in, answers out. The worker (above) classifies them; this part only shows things.
'use strict';
const $ = id => document.getElementById(id);
const facts = JSON.parse($('facts').textContent);

// --- words ---

const english = {
  classes: names => `It tells apart: ${names.join(', ')}.`,
  score: (p, low, high, n) =>
    `It was right about ${p} of ${n} photos that it had not been trained on (95 % interval: ${low} to ${high}).`,
  unscored: 'How often it is right is not known.',
  choose: 'Choose photos', camera: 'Use the camera', take: 'Take a photo', stop: 'Stop the camera',
  drop: 'Or drop photos here, or paste one.',
  privacy: 'It runs on this device. No photo leaves it.',
  loading: 'Getting ready …', examples: 'Pictures to try', example: i => `picture ${i} to try`,
  photos: 'Photos', photo: 'photo', answer: 'answer', probability: 'probability',
  save: 'Save the table as CSV', clear: 'Remove all',
  live: 'camera', shot: i => `camera ${i}`, pasted: i => `pasted ${i}`,
  picture: name => `The photo ${name}`, waiting: 'waiting …',
  progress: (done, n) => `${done} of ${n} done.`,
  summary: counts => counts.map(([name, n]) => `${name}: ${n}`).join(', ') + '.', unread: 'not read',
  speed: s => `The last one took ${s.toFixed(1)} s on this device.`,
  said: (name, label, p) => `${name}: ${label}, ${p}`,
  unfamiliar: 'This is unlike anything that it was trained on: do not rely on the answer.',
  unlike: 'unlike its training photos',
  limits: 'What it cannot do',
  closed: 'It knows these classes and no others. Whatever a photo shows, it answers with one of them.',
  elsewhere: 'It was tried on photos like those it was trained on. How well it does on others is not known.',
  confidence: 'A probability is how sure it is, which may differ from how often it is right.',
  empty: 'The file is empty.', damaged: 'This is not a photo, or it is damaged.',
  heic: 'This browser cannot open HEIC photos: export it as JPEG.',
  format: 'This browser cannot open photos of this kind: save it as JPEG or PNG.',
  heavy: 'This photo is too large for this device.',
  old: 'This browser is too old for this page: use a recent Chrome, Edge, Firefox or Safari.',
  failed: why => `The classifier does not run on this device (${why}). Close other tabs, and load the page again.`,
  refused: 'The camera may not be used: allow it in the browser’s settings for this page.',
  missing: 'No camera was found that is free to use.',
  insecure: 'The browser allows the camera only on a page that comes by https, or from a file on this device.',
};
const chinese = {
  classes: names => `它能分辨：${names.join('、')}。`,
  score: (p, low, high, n) => `在 ${n} 张没有用于训练的照片上，它答对了 ${p}（95% 置信区间：${low} 至 ${high}）。`,
  unscored: '它的准确率未知。',
  choose: '选择照片', camera: '使用摄像头', take: '拍照', stop: '关闭摄像头',
  drop: '也可以把照片拖到这里，或者粘贴一张。',
  privacy: '一切都在这台设备上运行，照片不会离开它。',
  loading: '正在准备……', examples: '试试这些图片', example: i => `示例图片 ${i}`,
  photos: '照片', photo: '照片', answer: '回答', probability: '概率',
  save: '把表格存为 CSV', clear: '全部移除',
  live: '摄像头', shot: i => `摄像头 ${i}`, pasted: i => `粘贴的图片 ${i}`,
  picture: name => `照片 ${name}`, waiting: '等待中……',
  progress: (done, n) => `已完成 ${done} / ${n}。`,
  summary: counts => counts.map(([name, n]) => `${name}：${n}`).join('，') + '。', unread: '无法读取',
  speed: s => `在这台设备上，最后一张用了 ${s.toFixed(1)} 秒。`,
  said: (name, label, p) => `${name}：${label}，${p}`,
  unfamiliar: '这和它训练时见过的都不像，不要相信这个回答。',
  unlike: '与训练照片都不像',
  limits: '它做不到的事',
  closed: '它只认识这些类别。无论照片里是什么，它都会回答其中的一个。',
  elsewhere: '它是在与训练照片相似的照片上检验的，在别的照片上表现如何并不清楚。',
  confidence: '概率表示它有多确定，这可能与它答对的比例不同。',
  empty: '文件是空的。', damaged: '这不是照片，或者文件已损坏。',
  heic: '这个浏览器打不开 HEIC 照片，请先导出为 JPEG。',
  format: '这个浏览器打不开这种格式的照片，请另存为 JPEG 或 PNG。',
  heavy: '对这台设备来说，这张照片太大了。',
  old: '这个浏览器太旧，无法使用本页：请使用较新的 Chrome、Edge、Firefox 或 Safari。',
  failed: why => `分类器无法在这台设备上运行（${why}）。请关闭其他标签页，然后重新加载本页。`,
  refused: '没有使用摄像头的权限：请在浏览器中为本页开启。',
  missing: '没有找到可用的摄像头。',
  insecure: '只有通过 https 打开的页面或本机上的文件，浏览器才允许使用摄像头。',
};
const isChinese = /^zh\b/i.test(navigator.language);
const words = isChinese ? chinese : english;

// Return a fraction in per cent; what would round to 0 or to 100 without being it says so.
function percent(p, digits = 0) {
  let text = (100*p).toFixed(digits);
  if (!digits && text === '100') text = '>99';
  if (!digits && text === '0') text = '<1';
  return isChinese ? `${text}%` : `${text} %`;
}

function showWords() {
  document.documentElement.lang = isChinese ? 'zh-Hans' : 'en';
  for (const o of document.querySelectorAll('[data-text]')) o.textContent = words[o.dataset.text];
  $('classes').textContent = words.classes(facts.classes);
  $('score').textContent = facts.score ? scoreWords(facts.score) : words.unscored;
}

function scoreWords({ accuracy, low, high, photos }) {
  return words.score(percent(accuracy, 1), percent(low, 1), percent(high, 1), photos);
}

// Show what went wrong with the whole page, or nothing.
function complain(text = '') { $('error').textContent = text; }

// --- the classifier, which does one thing at a time ---

let worker, isReady = false, answered = null;

function startWorker() {
  const code = new Blob([$('worker').textContent], { type: 'text/javascript' });
  worker = new Worker(URL.createObjectURL(code));
  worker.onerror = e => fail(e.message || 'worker');
  worker.onmessage = ({ data }) => {
    if (data.progress) $('progress').value = data.progress;
    else if (data.ready) ready(data.threads);
    else if (data.failed) fail(data.failed);
    else answered(data);
  };
  const parts = {};
  for (const o of document.querySelectorAll('.part')) {
    parts[o.id] = o.textContent.trim();
    o.remove();
  }
  worker.postMessage({ facts, parts });
}

function ready(threads) {
  isReady = true;
  $('loading').hidden = true;
  document.body.dataset.threads = threads;
  work();
}

function fail(why) {
  $('loading').hidden = true;
  complain(words.failed(why));
}

// Return the worker's answer about a file or a picture.
function classify(source, wantsThumbnail) {
  return new Promise(resolve => {
    answered = resolve;
    worker.postMessage({ source, thumbnail: wantsThumbnail }, source instanceof ImageBitmap ? [source] : []);
  });
}

// --- the photos ---

let photos = [], isWorking = false, isShown = null;

function addFiles(files) {
  const first = photos.length;
  for (const file of files) photos.push({ file, name: file.name, row: newRow(file.name) });
  $('all').hidden = !photos.length;
  if (photos.length > first && !stream) {
    show(photos[first]);
    $('stage').scrollIntoView({ block: 'nearest' });
  }
  summarize();
  work();
}

// Classify what waits, one after the other, and a frame of the camera in between.
async function work() {
  if (!isReady || isWorking) return;
  isWorking = true;
  for (;;) {
    if (stream) await classifyFrame();
    const photo = photos.find(o => !o.found);  // only now: one may have come in the meantime
    if (photo) await classifyPhoto(photo);
    else if (!stream) break;
  }
  isWorking = false;
}

async function classifyPhoto(photo) {
  photo.found = await classify(photo.file, true);
  if (!photos.includes(photo)) return;  // it was removed meanwhile
  fillRow(photo);
  if (isShown === photo || isShown?.found?.error && !photo.found.error) show(photo);
  summarize(photo);
}

// Return the class that an answer names, and its probability.
function best({ probabilities }) {
  const p = Math.max(...probabilities);
  return { label: facts.classes[probabilities.indexOf(p)], p };
}

function element(tag, className, text) {
  const o = document.createElement(tag);
  if (className) o.className = className;
  if (text !== undefined) o.textContent = text;
  return o;
}

// Return a new row of the table: the photo and its name, the answer, the probability.
function newRow(name) {
  const row = $('rows').insertRow(), button = element('button', 'pick');
  button.type = 'button';
  button.append(element('i'), element('span', '', name));
  row.insertCell().append(button);
  row.insertCell().textContent = words.waiting;
  row.insertCell().className = 'number';
  return row;
}

function fillRow(photo) {
  const [first, answer, number] = photo.row.cells, { found } = photo;
  if (found.error) {
    answer.textContent = words[found.error];
    answer.colSpan = 2;
    number.remove();
    return;
  }
  const { label, p } = best(found), image = element('img');
  image.alt = '';
  image.src = URL.createObjectURL(found.thumbnail);
  first.querySelector('i').replaceWith(image);
  answer.textContent = label;
  if (found.isUnlike) answer.append(element('div', 'warning', words.unlike));
  number.textContent = percent(p);
}

// Say how far it is, and what was found: to a screen reader the single answer, or of many photos only the end.
function summarize(photo) {
  const done = photos.filter(o => o.found), read = done.filter(o => !o.found.error), counts = new Map();
  for (const { found } of read) counts.set(best(found).label, (counts.get(best(found).label) ?? 0) + 1);
  if (read.length < done.length) counts.set(words.unread, done.length - read.length);
  const unlike = read.filter(o => o.found.isUnlike).length;
  if (unlike) counts.set(words.unlike, unlike);
  const sentences = [words.progress(done.length, photos.length), words.summary([...counts])];
  if (read.length) sentences.push(words.speed(read.at(-1).found.seconds));
  const text = sentences.join(isChinese ? '' : ' ');
  $('summary').textContent = text;
  if (photo && done.length === photos.length) say(photos.length === 1 ? spoken(photo) : text);
}

function spoken({ name, found }) {
  if (found.error) return words.said(name, words[found.error], '');
  const { label, p } = best(found);
  return words.said(name, label, found.isUnlike ? words.unlike : percent(p));
}

function say(text) { if ($('spoken').textContent !== text) $('spoken').textContent = text; }

// --- the large picture and its bars ---

function show(photo) {
  if (isShown !== photo) {
    URL.revokeObjectURL($('picture').src);
    $('picture').src = URL.createObjectURL(photo.file);
    $('picture').alt = words.picture(photo.name);
  }
  isShown = photo;
  for (const o of photos) o.row.classList.toggle('shown', o === photo);
  const isSeen = !photo.found?.error;
  $('picture').hidden = !isSeen;
  $('stage').classList.toggle('alone', !isSeen);
  $('name').textContent = photo.name;
  showAnswer(photo.found);
}

// Show an answer, or that there is none yet.
function showAnswer(found) {
  $('stage').hidden = false;
  $('bars').replaceChildren();
  $('unfamiliar').hidden = true;
  const isSentence = !found || Boolean(found.error);
  $('label').classList.toggle('sentence', isSentence);
  if (isSentence) {
    $('label').textContent = found ? words[found.error] : words.waiting;
    return;
  }
  $('label').textContent = best(found).label;
  $('unfamiliar').textContent = words.unfamiliar;
  $('unfamiliar').hidden = !found.isUnlike;
  $('bars').append(...topClasses(found.probabilities).map(bar));
}

// Return the classes with their probabilities; of more than five, the five most probable.
function topClasses(probabilities, most = 5) {
  const pairs = facts.classes.map((name, i) => [name, probabilities[i]]);
  return pairs.length > most ? pairs.sort((a, b) => b[1] - a[1]).slice(0, most) : pairs;
}

function bar([name, p]) {
  const o = element('li'), line = element('i');
  line.style.setProperty('--part', `${100*p}%`);
  o.append(element('span', '', name), ' ', element('span', 'number', percent(p)), line);
  return o;
}

// --- the camera ---

let stream = null, shots = 0;

async function startCamera() {
  complain();
  if (!navigator.mediaDevices) return complain(words.insecure);
  $('camera').disabled = true;  // until the visitor has answered the browser's question
  try { stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: { ideal: 'environment' } } }); }
  catch (e) { return complain(e.name === 'NotAllowedError' ? words.refused : words.missing); }
  finally { $('camera').disabled = false; }
  stream.getTracks()[0].onended = stopCamera;
  $('video').srcObject = stream;
  await $('video').play();
  setCamera(true);
  showAnswer();
  $('take').focus();
  work();
}

function stopCamera() {
  if (!stream) return;
  for (const track of stream.getTracks()) track.stop();
  stream = $('video').srcObject = null;
  setCamera(false);
  if (photos.length) show(photos.at(-1));
  else $('stage').hidden = true;
  $('camera').focus();
}

function setCamera(isOn) {
  isShown = null;
  for (const o of photos) o.row.classList.remove('shown');
  $('stage').classList.remove('alone');
  for (const id of ['video', 'shutter']) $(id).hidden = !isOn;
  $('camera').hidden = $('picture').hidden = isOn;
  $('name').textContent = words.live;
}

// Return what the camera sees now, as a canvas.
function frame() {
  const video = $('video'), canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext('2d').drawImage(video, 0, 0);
  return canvas;
}

async function classifyFrame() {
  if (document.hidden || !$('video').videoWidth) return new Promise(resolve => setTimeout(resolve, 200));
  const found = await classify(frame().transferToImageBitmap());
  if (!stream || found.error) return;
  showAnswer(found);
  say(words.said(words.live, best(found).label, ''));
}

// Keep what the camera sees now, as a photo among the others.
async function takePhoto() {
  const blob = await frame().convertToBlob({ type: 'image/jpeg', quality: 0.95 });
  addFiles([new File([blob], `${words.shot(++shots)}.jpg`)]);
}

// --- the table as a file, and none of it ---

function csv() {
  const { classes } = facts, last = ['familiarity', 'warning', 'error'];
  const same = classes.some(c => ['file', 'label', ...last].includes(c));
  const rows = [['file', 'label', ...classes.map(c => same ? `${c}_probability` : c), ...last]];
  for (const { name, found } of photos) {
    if (!found) continue;
    if (found.error) {
      rows.push([name, '', ...classes.map(() => ''), '', '', words[found.error]]);
      continue;
    }
    const warning = found.isUnlike ? words.unlike : '';
    rows.push([name, best(found).label, ...found.probabilities, found.familiarity ?? '', warning, '']);
  }
  const quoted = o => /[",\r\n]/.test(o) ? `"${String(o).replaceAll('"', '""')}"` : o;
  return rows.map(row => row.map(quoted).join(',')).join('\n') + '\n';
}

function saveTable() {
  const link = element('a');
  link.href = URL.createObjectURL(new Blob([csv()], { type: 'text/csv' }));
  link.download = 'photos.csv';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function removeAll() {
  for (const image of $('rows').querySelectorAll('img')) URL.revokeObjectURL(image.src);
  photos = [];
  isShown = null;
  $('rows').replaceChildren();
  $('all').hidden = true;
  if (!stream) $('stage').hidden = true;
  $('choose').focus();
}

// --- what a visitor does ---

function showExamples() {
  facts.examples.forEach((src, i) => {
    const item = element('li'), button = element('button'), image = element('img');
    button.type = 'button';
    image.src = src;
    image.alt = words.example(i + 1);
    button.onclick = async () => {
      const picture = await (await fetch(src)).blob();
      addFiles([new File([picture], `${words.example(i + 1)}.jpg`)]);
    };
    button.append(image);
    item.append(button);
    $('examples').append(item);
  });
  $('try').hidden = !facts.examples.length;
}

function listen() {
  $('choose').onclick = () => $('files').click();
  $('files').onchange = () => {
    addFiles([...$('files').files]);
    $('files').value = '';  // so that the same file can be chosen again
  };
  $('camera').onclick = startCamera;
  $('stop').onclick = stopCamera;
  $('take').onclick = takePhoto;
  $('save').onclick = saveTable;
  $('clear').onclick = removeAll;
  $('rows').onclick = e => {
    const row = e.target.closest('.pick')?.closest('tr');
    if (row && !stream) show(photos.find(o => o.row === row));
  };
  let pasted = 0;
  addEventListener('paste', e => {
    addFiles([...e.clipboardData.files].map(o => new File([o], `${words.pasted(++pasted)}.png`)));
  });
  addEventListener('dragover', e => {
    e.preventDefault();
    $('drop').classList.add('over');
  });
  addEventListener('dragleave', e => { if (!e.relatedTarget) $('drop').classList.remove('over'); });
  addEventListener('drop', e => {
    e.preventDefault();
    $('drop').classList.remove('over');
    addFiles([...e.dataTransfer.files]);
  });
  addEventListener('pagehide', stopCamera);
}

showWords();
showExamples();
listen();
if (typeof DecompressionStream === 'undefined' || typeof OffscreenCanvas === 'undefined') complain(words.old);
else {
  $('loading').hidden = false;
  try { startWorker(); } catch (e) { fail(e.message); }
}
