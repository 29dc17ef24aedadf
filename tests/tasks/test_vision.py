import hashlib
import http.server
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torchvision import datasets

from optlab.config import ConfigError
from optlab.registry import tasks
from optlab.tasks import downloads
from optlab.tasks.vision import Cifar10, ImageClasses, Mnist
from tests.tasks.image_sets import cifar_files, cifar_of

IMAGE_TASKS = [task for _, task in tasks.items() if issubclass(task, ImageClasses)]
every_task = pytest.mark.parametrize("task", IMAGE_TASKS, ids=lambda task: task.__name__)
NOWHERE = "http://127.0.0.1:9/"  # the discard port: refused at once, without a network


@pytest.fixture(autouse=True)
def unplugged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every download address be this machine, where nothing answers."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(datasets.MNIST, "mirrors", [NOWHERE])
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [NOWHERE])
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{NOWHERE}cifar-10-python.tar.gz")


@every_task
def test_files_in_the_true_format_become_images_and_labels(task, small_options):
    data = task(**small_options(task)).load()
    channels, side = (3, 32) if task.FORMAT == "cifar" else (1, 28)
    assert data.input_shape == (channels, side, side)
    assert data.num_classes == 10
    assert [len(s) for s in (data.train, data.val, data.test)] == [40, 10, 20]
    assert data.train.x.is_contiguous()


@every_task
def test_splits_are_the_stored_images_up_to_one_scale_per_channel(task, small_options):
    options = small_options(task)
    data = task(**options).load()
    stored = getattr(datasets, task.DATASET)(options["root"], train=False)
    pixels = np.asarray(stored.data, dtype=np.float64)
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)
    assert data.test.y.tolist() == list(map(int, stored.targets))
    for channel in range(pixels.shape[1]):
        ours = data.test.x[:, channel].double().numpy().ravel()
        correlation = np.corrcoef(ours, pixels[:, channel].ravel())[0, 1]
        assert correlation == pytest.approx(1.0, abs=1e-9)


@every_task
def test_training_rows_alone_set_mean_and_deviation(task, small_options):
    data = task(**small_options(task)).load()
    mean = data.train.x.double().mean((0, 2, 3))
    deviation = data.train.x.double().std((0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0.0, atol=1e-6)
    torch.testing.assert_close(deviation, torch.ones_like(deviation), rtol=1e-5, atol=0.0)
    assert data.val.x.double().mean((0, 2, 3)).abs().max() > 1e-4


@every_task
def test_training_and_validation_rows_are_the_training_set_without_overlap(task, small_options):
    data = task(**small_options(task)).load()
    rows = torch.cat([data.train.x, data.val.x]).flatten(1)
    assert len(rows.unique(dim=0)) == 50
    assert torch.cat([data.train.y, data.val.y]).bincount().tolist() == [5] * 10


@every_task
def test_validation_rows_must_leave_some_to_train_on(task, small_options):
    options = small_options(task) | {"val_rows": 50}
    with pytest.raises(ConfigError, match=r"val_rows must be less than 50.*got 50"):
        task(**options).load()


@every_task
@pytest.mark.parametrize("download", [True, False])
def test_without_files_one_sentence_says_what_to_put_where(task, download, tmp_path):
    with pytest.raises(ConfigError) as caught:
        task(root=str(tmp_path), download=download).load()
    message = str(caught.value)
    assert str(tmp_path) in message
    assert task.FILES in message
    assert "\n" not in message
    assert ("could not be downloaded" in message) == download
    assert ("task.download is false" in message) == (not download)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or not download


@every_task
def test_a_folder_that_cannot_be_made_is_the_same_sentence(task, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ConfigError, match="could not be downloaded"):
        task(root=str(tmp_path / "file")).load()


@pytest.fixture
def server(idx_archives: dict[str, bytes], cifar_archive: bytes) -> Iterator[tuple[str, Counter]]:
    """Serve the archives over HTTP from this machine; count what is fetched."""
    fetched: Counter[str] = Counter()
    archives = {**idx_archives, "cifar-10-python.tar.gz": cifar_archive}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            content = archives[self.path[1:]]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()

        def do_GET(self) -> None:
            fetched[self.path[1:]] += 1
            self.do_HEAD()
            self.wfile.write(archives[self.path[1:]])

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}/", fetched
        listening.shutdown()
        thread.join()


@pytest.fixture
def archived_mnist(idx_archives: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> type:
    """Let torchvision's class expect our archives, by their checksums."""
    sums = [(name, hashlib.md5(content).hexdigest()) for name, content in idx_archives.items()]
    monkeypatch.setattr(datasets.MNIST, "resources", sums)
    return datasets.MNIST


def test_files_are_downloaded_once_and_then_read(server, archived_mnist, monkeypatch, tmp_path):
    address, fetched = server
    monkeypatch.setattr(archived_mnist, "mirrors", [address])
    task = Mnist(root=str(tmp_path), val_rows=10)
    first = task.load()
    once = fetched.copy()
    second = task.load()
    assert torch.equal(first.train.x, second.train.x)
    assert len(once) == 4
    assert fetched == once


def test_runs_that_start_together_download_once(server, archived_mnist, monkeypatch, tmp_path):
    address, fetched = server
    monkeypatch.setattr(archived_mnist, "mirrors", [address])
    Mnist(root=str(tmp_path / "alone"), val_rows=10).load()
    once = fetched.copy()  # torchvision asks twice for a file: to follow redirects, to have it
    task = Mnist(root=str(tmp_path / "together"), val_rows=10)
    with ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(task.load) for _ in range(4)]
    assert all(torch.equal(load.result().test.x, loads[0].result().test.x) for load in loads)
    assert fetched == once + once


def test_of_an_archive_of_pickles_the_batches_alone_are_unpacked(
    server, cifar_archive, monkeypatch, tmp_path
):
    source = cifar_of(cifar_files())
    monkeypatch.setattr(source, "url", f"{server[0]}cifar-10-python.tar.gz")
    monkeypatch.setattr(source, "tgz_md5", hashlib.md5(cifar_archive).hexdigest())
    monkeypatch.setattr(datasets, "CIFAR10", source)
    task = Cifar10(root=str(tmp_path), val_rows=10)
    assert len(task.load().test) == 20
    unpacked = [path.name for path in (tmp_path / "cifar-10-batches-py").iterdir()]
    assert set(unpacked) == set(cifar_files()) - {"batches.meta"}


def test_archives_put_there_by_hand_are_unpacked_without_a_network(
    idx_archives, archived_mnist, tmp_path
):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, content in idx_archives.items():
        (folder / name).write_bytes(content)
    assert len(Mnist(root=str(tmp_path), val_rows=10).load().train) == 40


def test_a_download_with_another_checksum_is_refused(server, monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.MNIST, "mirrors", [server[0]])
    with pytest.raises(ConfigError, match="corrupted"):
        Mnist(root=str(tmp_path), val_rows=10).load()


def test_a_silent_server_is_given_up_and_the_time_limit_taken_back(monkeypatch, tmp_path):
    monkeypatch.setattr(downloads, "TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setattr(datasets.MNIST, "mirrors", [f"http://127.0.0.1:{port}/"])
        with pytest.raises(ConfigError, match="timed out"):
            Mnist(root=str(tmp_path)).load()
    assert socket.getdefaulttimeout() is None
