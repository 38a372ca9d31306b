"""What `down` takes of places that other engines use too."""

from pathlib import Path

from kubetree.cluster.down import forget_networks


def test_results_of_our_pods_go_and_those_of_others_stay(tmp_path: Path) -> None:
    cache = tmp_path / "cni" / "results"
    cache.mkdir(parents=True)
    for name in ("kubetree-abc-eth0", "cni-loopback-abc-lo", "cni-loopback-def-lo", "podman-def-eth0"):
        (cache / name).touch()
    forget_networks(cache)
    assert sorted(path.name for path in cache.iterdir()) == ["cni-loopback-def-lo", "podman-def-eth0"]
    for path in cache.iterdir():
        path.unlink()
    forget_networks(cache)
    assert not cache.parent.exists()
    forget_networks(cache)
