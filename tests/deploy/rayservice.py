"""The shape of a RayService as its operator's v1 API defines it, strict: a field that is not there is refused.

Pod templates are left open here; ``test_kubernetes`` checks them with the schemas of Kubernetes itself.
"""

from __future__ import annotations

from typing import Any

_COUNT = {"type": "integer", "minimum": 0}
_WORDS = {"type": "object", "additionalProperties": {"type": "string"}}
_POD_TEMPLATE = {"type": "object", "required": ["spec"]}


def _strict(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


_CREDENTIAL = _strict(value={"type": "string"}, valueFrom={"type": "object"})
_HEAD = _strict(
    ("rayStartParams", "template"),
    serviceType={"type": "string"},
    headService={"type": "object"},
    enableIngress={"type": "boolean"},
    rayStartParams=_WORDS,
    template=_POD_TEMPLATE,
)
_WORKERS = _strict(
    ("groupName", "rayStartParams", "template"),
    groupName={"type": "string"},
    suspend={"type": "boolean"},
    replicas=_COUNT,
    minReplicas=_COUNT,
    maxReplicas=_COUNT,
    idleTimeoutSeconds=_COUNT,
    numOfHosts=_COUNT,
    rayStartParams=_WORDS,
    scaleStrategy={"type": "object"},
    template=_POD_TEMPLATE,
)
_CLUSTER = _strict(
    ("headGroupSpec",),
    rayVersion={"type": "string"},
    enableInTreeAutoscaling={"type": "boolean"},
    suspend={"type": "boolean"},
    headServiceAnnotations=_WORDS,
    autoscalerOptions=_strict(
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        idleTimeoutSeconds=_COUNT,
        resources={"type": "object"},
        image={"type": "string"},
        env={"type": "array"},
    ),
    gcsFaultToleranceOptions=_strict(
        ("redisAddress",),
        redisAddress={"type": "string"},
        redisUsername=_CREDENTIAL,
        redisPassword=_CREDENTIAL,
        externalStorageNamespace={"type": "string"},
    ),
    headGroupSpec=_HEAD,
    workerGroupSpecs={"type": "array", "items": _WORKERS},
)
RAY_SERVICE = _strict(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayService"},
    metadata=_strict(("name",), name={"type": "string"}, labels=_WORDS, annotations=_WORDS),
    spec=_strict(
        ("serveConfigV2", "rayClusterConfig"),
        serveConfigV2={"type": "string"},
        rayClusterConfig=_CLUSTER,
        serveService={"type": "object"},
        upgradeStrategy=_strict(type={"enum": ["NewCluster", "None"]}),
        rayClusterDeletionDelaySeconds=_COUNT,
    ),
)
