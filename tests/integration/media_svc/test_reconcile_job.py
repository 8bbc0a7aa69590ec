"""Reconciliation as staff meet it: the figure that alarms watch, and the command."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from cli import main as cli
from devstack.certificates import Authority
from tests import pictures
from tests.fixtures.stack import eventually
from tests.integration.media_svc.conftest import Rig, running_rig

PHOTOS = "heliograph-photos"


def alarm() -> float | None:
    return REGISTRY.get_sample_value("media_reconcile_findings", {"kind": "ROW_WITHOUT_OBJECT"})


async def command(rig: Rig, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run `heliograph media reconcile` and return its status."""
    certificate, key = Authority(rig.config.tls.ca.parent).issue("cli")
    for name, value in {
        "MEDIA_ADDRESS": rig.config.process.listen,
        "TLS_CA": rig.config.tls.ca,
        "TLS_CERT": certificate,
        "TLS_KEY": key,
    }.items():
        monkeypatch.setenv(f"HELIOGRAPH_{name}", str(value))
    folder = str(rig.config.tls.ca.parent)
    return await asyncio.to_thread(cli.main, ["--folder", folder, "media", "reconcile", *arguments])


async def test_lost_photo_raises_the_alarm_and_the_command_names_it(
    stack, tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    async with running_rig(stack, tmp_path, reconcile_seconds=0.2) as rig:
        person = rig.person()
        media = await person.attach((await person.ready(pictures.jpeg(seed=70))).upload_id)
        await eventually(lambda: alarm() == 0)
        assert await command(rig, monkeypatch) == 0
        assert "Rows and objects agree." in capsys.readouterr().out

        key = media.key_prefix + media.variants[0].url
        content = await rig.objects.get(PHOTOS, key)
        await rig.objects.remove(PHOTOS, [key])
        await eventually(lambda: alarm() == 1)
        assert await command(rig, monkeypatch, "--repair") == 3
        told = capsys.readouterr().out
        assert key in told
        assert media.upload_id in told
        assert "1 don't agree, 0 repaired" in told

        await rig.objects.put(PHOTOS, key, content, content_type="image/webp")
        await eventually(lambda: alarm() == 0)


async def test_command_repairs_only_when_told_to(
    stack, tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    async with running_rig(stack, tmp_path) as rig:
        person = rig.person()
        media = await person.attach((await person.ready(pictures.jpeg(seed=71))).upload_id)
        await person.call("DeleteMedia", by="feed_svc", upload_id=media.upload_id, reference="post:1")

        async def is_gone() -> bool:
            return not await rig.objects.list(PHOTOS, media.key_prefix)

        await eventually(is_gone)
        await rig.objects.put(PHOTOS, f"{media.key_prefix}1080.webp", b"left over", content_type="image/webp")
        assert await command(rig, monkeypatch) == 3
        assert not await is_gone()
        assert await command(rig, monkeypatch, "--repair") == 0
        assert "1 don't agree, 1 repaired" in capsys.readouterr().out
        assert await is_gone()
