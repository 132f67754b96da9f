"""docker-py and testcontainers, unmodified: each call, and what came of it, a line each."""

import os
import tarfile
import io

os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

import docker
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.waiting_utils import wait_for_logs

client = docker.from_env()
print(client.ping())
print(client.containers.run("busybox", "echo hi", remove=True))
try:
    client.containers.run("busybox", "sh -c 'echo bad >&2; exit 3'", remove=True)
except docker.errors.ContainerError as error:
    print(error.exit_status, error.stderr)
short = client.containers.run("busybox", "sh -c 'exit 4'", auto_remove=True, detach=True)
print(short.wait())
network = client.networks.create("py-net", labels={"a": "b"})
volume = client.volumes.create("py-vol")
kept = client.containers.run(
    "busybox", "sleep 100", name="py", detach=True, network="py-net", init=True,
    volumes={"py-vol": {"bind": "/v", "mode": "rw"}}, mem_limit="64m", environment=["A=b"],
    healthcheck={"test": ["CMD", "true"], "interval": 100000000},
)
print(kept.exec_run("sh -c 'echo $A; echo x >/v/x; exit 5'"))
archive = io.BytesIO()
with tarfile.open(fileobj=archive, mode="w") as tar:
    info = tarfile.TarInfo("put")
    info.size = 3
    tar.addfile(info, io.BytesIO(b"put"))
print(kept.put_archive("/v", archive.getvalue()))
print(b"".join(kept.get_archive("/v/put")[0])[512:515], kept.get_archive("/v/put")[1]["size"])
kept.reload()
print(kept.status, sorted(kept.attrs["NetworkSettings"]["Networks"]))
kept.pause()
kept.unpause()
kept.rename("py2")
kept.update(mem_limit="128m", memswap_limit=-1)
print(kept.top()["Titles"], kept.diff() is not None, kept.stats(stream=False)["name"])
image = kept.commit("py-image", "1")
print(image.tags, [row["Comment"] for row in image.history()][:1])
client.images.remove("py-image:1")
kept.stop(timeout=5)
print(kept.wait()["StatusCode"] in (0, 143), kept.logs())
kept.remove(v=True)
volume.remove()
network.remove()
try:
    client.containers.get("nosuch")
except docker.errors.NotFound as error:
    print(error.explanation)

with DockerContainer("busybox").with_command("sh -c 'echo ready; exec httpd -f -p 80 -h /etc'").with_exposed_ports(80) as web:
    wait_for_logs(web, "ready", timeout=30)
    print(web.get_logs(), web.exec("wget -qO- http://127.0.0.1/group").output[:5])
with Network() as network:
    with DockerContainer("busybox").with_command("sleep 100").with_network(network).with_network_aliases("one"):
        with DockerContainer("busybox").with_command("sleep 100").with_network(network) as other:
            print(other.exec("nslookup one").exit_code)
print(client.containers.list(all=True), len(client.networks.list()), client.volumes.list())
