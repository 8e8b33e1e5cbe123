"""A CycloneDX 1.6 bill of materials, as JSON.

Equal environments give equal bytes: there is no time in it, and its serial number follows from the
rest. The digests of components are those of the files that were installed, where they are known:
of a conda package, of an archive. Those of Python's RECORD and contents are properties.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gitprov.capture.environments.python.distributions import normalised
from gitprov.errors import MissingDependency
from gitprov.exchange.environments import purls, words
from gitprov.exchange.environments.exported import Exported
from gitprov.model.environment import Container, Environment, Interpreter, Origin, Package
from gitprov.version import __version__

if TYPE_CHECKING:
    from cyclonedx.model import ExternalReference, HashType
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component

FILE_NAME = "environment.cdx.json"

_PREFIX = "gitprov:"
_NAMESPACE = uuid.UUID("6b1f8a55-41a8-5d0c-9b0e-0d8f2a4c7e11")
_MAX_VERSION = 1024  # the schema's
_ALGORITHMS = {
    "md5": "MD5",
    "sha1": "SHA-1",
    "sha256": "SHA-256",
    "sha384": "SHA-384",
    "sha512": "SHA-512",
    "blake3": "BLAKE3",
}


def export(environment: Environment, /, *, resolve: bool) -> Exported:  # noqa: ARG001 -- protocol
    """Return all that was installed, as components."""
    try:
        from cyclonedx.model.bom import Bom  # noqa: F401, PLC0415 -- an extra, and slow to import
    except ImportError as error:
        raise MissingDependency(
            "CycloneDX needs a package: `pip install 'gitprov[cyclonedx]'`"
        ) from error
    notes = words.broken(environment.python) if environment.python else []
    return Exported(text=_text(_bom(environment)), file_name=FILE_NAME, notes=tuple(notes))


def _text(bom: "Bom") -> str:
    from cyclonedx.output import make_outputter  # noqa: PLC0415 -- as above
    from cyclonedx.schema import OutputFormat, SchemaVersion  # noqa: PLC0415

    output = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string()
    document = json.loads(output)
    # The library puts in the time, and a number by chance.
    document.get("metadata", {}).pop("timestamp", None)
    document.pop("serialNumber", None)
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, content)}"
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _bom(environment: Environment) -> "Bom":
    from cyclonedx.model.bom import Bom, BomMetaData  # noqa: PLC0415 -- as above
    from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415

    tool = Component(name="gitprov", version=__version__, type=ComponentType.APPLICATION)
    facts = {f"system:{name}": value for name, value in environment.system.items()}
    whole = Component(
        name="environment",
        type=ComponentType.APPLICATION,
        bom_ref="environment",
        properties=_properties(facts),
    )
    # A stranger's record may name one twice.
    components = {str(item.bom_ref): item for item in _components(environment)}.values()
    bom = Bom(components=components)
    bom.metadata = BomMetaData(component=whole)
    bom.metadata.tools.components.add(tool)
    bom.register_dependency(whole, components)
    return bom


def _components(environment: Environment) -> Iterator["Component"]:
    if environment.container is not None:
        yield _container(environment.container)
    pythons = {"": environment.python, **environment.others}
    for folder, python in pythons.items():
        if python is None:
            continue
        yield _interpreter(python.interpreter, folder)
        for package in python.packages:
            # conda's own list says more of what it has installed.
            if package.installer != "conda" or environment.conda is None:
                yield _package(package, environment, folder)
    yield from _others(environment)


def _others(environment: Environment) -> Iterator["Component"]:
    if environment.conda is not None:
        for item in environment.conda.packages:
            said = {"md5": item.md5, "sha256": item.sha256}
            hashes = {name: value for name, value in said.items() if value}
            yield _component(
                item.name, item.version, purls.conda(item), hashes=hashes, url=item.url
            )
    for language, found in sorted(environment.languages.items()):
        for library in found.packages:
            purl = purls.library(language, library)
            yield _component(library.name, library.version, purl, url=None)
    if environment.system_packages is not None:
        for library in environment.system_packages.packages:
            purl = purls.system(environment.system_packages.manager, library, environment.system)
            yield _component(library.name, library.version, purl, url=None)


def _container(container: Container) -> "Component":
    from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415 -- as above

    digest = (container.digest or "").removeprefix("sha256:")
    labels = {f"label:{name}": value for name, value in container.labels.items()}
    return Component(
        name=container.image or container.runtime,
        version=(container.digest or "")[:_MAX_VERSION] or None,
        type=ComponentType.CONTAINER,
        hashes=_hashes({"sha256": digest}),
        bom_ref="container",
        properties=_properties({"runtime": container.runtime, **labels}),
    )


def _interpreter(interpreter: Interpreter, folder: str) -> "Component":
    from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415 -- as above

    return Component(
        name=interpreter.implementation,
        version=interpreter.version[:_MAX_VERSION],
        type=ComponentType.PLATFORM,
        purl=purls.generic(interpreter.implementation, interpreter.version),
        bom_ref=f"interpreter:{folder}",
        properties=_properties(
            {
                "interpreter": folder or None,
                "kind": interpreter.kind,
                "platform": interpreter.platform,
                "soabi": interpreter.soabi,
            }
        ),
    )


def _package(package: Package, environment: Environment, folder: str) -> "Component":
    origin = package.origin
    said = {
        "interpreter": folder or None,
        "installer": package.installer,
        "record_sha256": package.record_sha256,
        "content_sha256": package.content_sha256,
    }
    if package.editable:
        said["editable"] = "true"
        for item in environment.editables:
            if normalised(item.name) == normalised(package.name):
                said |= {"path": item.path, "commit": item.commit, "tree": item.tree}
                said["dirty"] = None if item.dirty is None else str(item.dirty).lower()
    if origin is not None:
        said |= {"subdirectory": origin.subdirectory, "revision": origin.revision}
    return _component(
        package.name,
        package.version,
        purls.python(package),
        hashes=origin.hashes if origin is not None else {},
        url=None if origin is None else _place(origin),
        properties=said,
        within=folder,
        is_repository=origin is not None and origin.vcs is not None,
    )


def _place(origin: Origin) -> str:
    return f"{origin.vcs}+{origin.url}@{origin.commit}" if origin.vcs else origin.url


def _component(
    name: str,
    version: str,
    purl: Any,
    *,
    url: str | None,
    hashes: Mapping[str, str] | None = None,
    properties: Mapping[str, str | None] | None = None,
    within: str = "",
    is_repository: bool = False,
) -> "Component":
    from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415 -- as above

    prefix = f"{within}:" if within else ""
    return Component(
        name=name,
        version=version[:_MAX_VERSION],
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=f"{prefix}{purl or f'{name}@{version}'}",
        hashes=_hashes(hashes or {}),
        external_references=_references(url, is_repository=is_repository),
        properties=_properties(properties or {}),
    )


def _hashes(hashes: Mapping[str, str]) -> "Iterable[HashType]":
    from cyclonedx.model import HashAlgorithm, HashType  # noqa: PLC0415 -- as above

    return [
        HashType(alg=HashAlgorithm(_ALGORITHMS[name]), content=value)
        for name, value in sorted(hashes.items())
        if name in _ALGORITHMS and purls.is_digest(name, value)
    ]


def _references(url: str | None, *, is_repository: bool) -> "Iterable[ExternalReference]":
    from cyclonedx.model import (  # noqa: PLC0415 -- as above
        ExternalReference,
        ExternalReferenceType,
        XsUri,
    )

    if not url or not purls.is_uri(url):
        return []
    kind = ExternalReferenceType.VCS if is_repository else ExternalReferenceType.DISTRIBUTION
    return [ExternalReference(type=kind, url=XsUri(url))]


def _properties(values: Mapping[str, str | None]) -> Any:
    from cyclonedx.model import Property  # noqa: PLC0415 -- as above

    return [
        Property(name=_PREFIX + name, value=value)
        for name, value in sorted(values.items())
        if value
    ]
