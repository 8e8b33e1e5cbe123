"""Tables as their own packages write them: Delta and Iceberg, version by version."""

from pathlib import Path
from typing import Any

import pytest

from gitprov.capture.data.pointers import identity_of

pa: Any = pytest.importorskip("pyarrow", reason="needs the group `data`")
deltalake: Any = pytest.importorskip("deltalake", reason="needs the group `data`")
sql: Any = pytest.importorskip("pyiceberg.catalog.sql", reason="needs the group `data`")
pytestmark = pytest.mark.data


def rows(number: int) -> Any:
    return pa.table({"a": [number]})


def test_versions_of_a_delta_table(tmp_path: Path) -> None:
    place = tmp_path / "table"
    for number in range(12):
        deltalake.write_deltalake(str(place), rows(number), mode="append")
        table = deltalake.DeltaTable(str(place))
        assert identity_of(place, None, {}) == {
            "delta.version": str(table.version()),
            "delta.table_id": str(table.metadata().id),
        }
    table.create_checkpoint()
    said = identity_of(place, None, {})
    assert said["delta.version"] == "11"
    for commit in (place / "_delta_log").glob("*.json"):
        commit.unlink()
    assert deltalake.DeltaTable(str(place)).version() == 11
    assert identity_of(place, None, {}) == {"delta.version": "11"}


def test_snapshots_of_an_iceberg_table(tmp_path: Path) -> None:
    catalogue = sql.SqlCatalog(
        "default",
        uri=f"sqlite:///{tmp_path}/catalogue.db",
        warehouse=f"file://{tmp_path}/warehouse",
    )
    catalogue.create_namespace("space")
    table = catalogue.create_table("space.table", schema=rows(0).schema)
    place = Path(table.location().removeprefix("file://"))
    said = identity_of(place, None, {})
    assert said["iceberg.table_uuid"] == str(table.metadata.table_uuid)
    assert "iceberg.snapshot_id" not in said
    for number in range(3):
        table.append(rows(number))
        assert identity_of(place, None, {}) == {
            "iceberg.table_uuid": str(table.metadata.table_uuid),
            "iceberg.snapshot_id": str(table.current_snapshot().snapshot_id),
            "iceberg.metadata": f"metadata/{Path(table.metadata_location).name}",
        }
