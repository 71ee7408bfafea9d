"The page of `write_page`: its size, seconds until it is ready, seconds a photo with one thread and with more, and how far its answers are from Python's."
import shutil, statistics, tempfile, threading, time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from common import photos, save, seed

class Isolated(SimpleHTTPRequestHandler):
    "Serve a folder with the two headers that allow a page threads"
    def log_message(self, *args): pass
    def end_headers(self):
        self.send_header('Cross-Origin-Opener-Policy', 'same-origin')
        self.send_header('Cross-Origin-Embedder-Policy', 'require-corp')
        super().end_headers()

def until(page, expression):
    while not page.evaluate(expression): time.sleep(0.02)

def visit(browser, address, files):
    "Open the page and let it classify `files`; return the figures, and the probabilities of each"
    page, start = browser.new_page(), time.perf_counter()
    page.goto(address)
    until(page, 'isReady')
    load = time.perf_counter() - start
    page.set_input_files('#files', list(map(str, files)))
    until(page, f'photos.length == {len(files)} && photos.every(o => o.found)')
    seconds, probs, threads = page.evaluate('[photos.map(o => o.found.seconds), photos.map(o => o.found.probabilities), +document.body.dataset.threads]')
    page.close()
    return dict(threads=threads, seconds_to_load=round(load, 2), seconds_a_photo=round(statistics.median(seconds), 3)), probs

if __name__ == '__main__':
    from fastai.vision.all import set_seed
    from playwright.sync_api import sync_playwright
    from dogscats_course.all import make_dls, predict_files, vgg_learner, write_page
    chromium = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))))
    with tempfile.TemporaryDirectory() as tmp, sync_playwright() as p:
        set_seed(seed)
        learn = vgg_learner(make_dls(photos(Path(tmp)/'photos', 200, 100)), weights='bundled')
        with learn.no_bar(), learn.no_logging(): learn.fit_head(5)
        page, files = write_page(learn, Path(tmp)/'page.html'), learn.dls.valid_ds.items[::5]
        with learn.no_bar(): table = predict_files(learn, files)
        ours = table[list(learn.dls.vocab)].to_numpy(float)
        server = ThreadingHTTPServer(('localhost', 0), partial(Isolated, directory=tmp))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        addresses = page.as_uri(), f'http://localhost:{server.server_port}/{page.name}'
        browser, runs = p.chromium.launch(executable_path=chromium, args=['--no-sandbox']), []
        for _ in range(3):
            for address in addresses:
                figures, theirs = visit(browser, address, files)
                runs.append(dict(figures, difference=abs(ours - theirs).max().round(4), labels_equal=int((ours.argmax(1) == [max(range(len(o)), key=o.__getitem__) for o in theirs]).sum())))
                print(runs[-1], flush=True)
        browser.close()
        server.shutdown()
        save('page', megabytes=round(page.stat().st_size/1e6, 1), photos=len(files), size=224, chromium=browser.version, runs=runs)
