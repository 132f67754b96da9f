//! Image archives built by hand: what `docker save` wrote in its old form, and
//! an OCI layout. Both hold one image with two layers: busybox, and a file on top.

use std::path::{Path, PathBuf};

use super::outcome::{finish, script};
use super::rootfs::busybox_tar;

const PRELUDE: &str = "set -e; d=$(mktemp -d); cd $d; \
    cp \"$BUSYBOX\" base.tar; mkdir top; echo from-the-top >top/marker; \
    tar -C top --mtime=@1700000000 --numeric-owner --owner=0 --group=0 -cf top.tar marker; \
    sum() { sha256sum \"$1\" | cut -d' ' -f1; }; size() { stat -c %s \"$1\"; }; \
    base=$(sum base.tar); top=$(sum top.tar); \
    printf '{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"2024-01-02T03:04:05Z\",\
\"config\":{\"Cmd\":[\"cat\",\"/marker\"],\"Env\":[\"PATH=/bin\"]},\
\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%s\",\"sha256:%s\"]},\
\"history\":[{\"created_by\":\"base\"},{\"created_by\":\"top\"}]}' $base $top >config.json; \
    config=$(sum config.json); ";

fn build(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    let mut command = script(&format!("{PRELUDE} {text} cd /; rm -rf $d"));
    finish(command.env("OUT", &path).env("BUSYBOX", busybox_tar()), b"").ok();
    path
}

/// A docker-archive named `archived:v1`, in the form that Docker wrote before 25.
pub fn docker_archive(dir: &Path) -> PathBuf {
    build(
        dir,
        "docker-archive.tar",
        "mkdir l0 l1; mv base.tar l0/layer.tar; mv top.tar l1/layer.tar; mv config.json $config.json; \
         printf '[{\"Config\":\"%s.json\",\"RepoTags\":[\"archived:v1\"],\"Layers\":[\"l0/layer.tar\",\"l1/layer.tar\"]}]' \
         $config >manifest.json; \
         tar -cf \"$OUT\" $config.json l0 l1 manifest.json;",
    )
}

/// An OCI layout named `oci-archived:v1`, its layers compressed with gzip, with
/// the `manifest.json` that Docker since 25 writes (and needs) beside the index.
pub fn oci_archive(dir: &Path) -> PathBuf {
    build(
        dir,
        "oci-archive.tar",
        "gzip -n base.tar; gzip -n top.tar; mkdir -p blobs/sha256; \
         b=$(sum base.tar.gz); bs=$(size base.tar.gz); t=$(sum top.tar.gz); ts=$(size top.tar.gz); cs=$(size config.json); \
         m=application/vnd.oci.image; \
         printf '{\"schemaVersion\":2,\"mediaType\":\"%s.manifest.v1+json\",\
\"config\":{\"mediaType\":\"%s.config.v1+json\",\"digest\":\"sha256:%s\",\"size\":%s},\
\"layers\":[{\"mediaType\":\"%s.layer.v1.tar+gzip\",\"digest\":\"sha256:%s\",\"size\":%s},\
{\"mediaType\":\"%s.layer.v1.tar+gzip\",\"digest\":\"sha256:%s\",\"size\":%s}]}' \
         $m $m $config $cs $m $b $bs $m $t $ts >manifest; \
         mf=$(sum manifest); ms=$(size manifest); \
         mv base.tar.gz blobs/sha256/$b; mv top.tar.gz blobs/sha256/$t; mv config.json blobs/sha256/$config; \
         mv manifest blobs/sha256/$mf; printf '{\"imageLayoutVersion\":\"1.0.0\"}' >oci-layout; \
         printf '{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"%s.manifest.v1+json\",\"digest\":\"sha256:%s\",\
\"size\":%s,\"annotations\":{\"io.containerd.image.name\":\"docker.io/library/oci-archived:v1\",\
\"org.opencontainers.image.ref.name\":\"v1\"}}]}' $m $mf $ms >index.json; \
         printf '[{\"Config\":\"blobs/sha256/%s\",\"RepoTags\":[\"oci-archived:v1\"],\"Layers\":[\"blobs/sha256/%s\",\"blobs/sha256/%s\"]}]' $config $b $t >manifest.json; \
         tar -cf \"$OUT\" oci-layout index.json manifest.json blobs;",
    )
}
