"""The route that gives keys of texts, for those who want to compare or store them themselves."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from deployments.access.principal import caller
from deployments.http.failures import documented
from deployments.http.schemas import Body
from deployments.http.services import ServicesParam
from deployments.text_rules import check_text
from memory_core.ids import EncoderId
from memory_core.results import EncodedText

TEXTS_MAX: Final = 64

router = APIRouter(prefix="/v1", tags=["encoding"])


class EncodeRequest(Body):
    """Texts, and the encoder; the default one if left out."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"texts": ["Glass is made of sand."]}]},
    )

    texts: Annotated[list[str], Field(min_length=1, max_length=TEXTS_MAX)]
    encoder: str | None = None


class EncodeAnswer(BaseModel):
    """One vector of unit length for each text: the mean of the keys of its sentences."""

    encoder: str
    key_dim: int
    vectors: list[list[float]]


@router.post("/encode", responses=documented(400, 413, 422, 429, 503))
async def encode(body: EncodeRequest, services: ServicesParam) -> EncodeAnswer:
    """What the encoder makes of texts, as a plain vector store would keep it; no memory is involved."""
    caller().require("infer")
    for position, text in enumerate(body.texts):
        check_text(text, f"text {position}")
    encoder = EncoderId(body.encoder) if body.encoder else services.encoder
    encoded = await services.encoders.encode(encoder, body.texts)
    vectors = [_one_vector(text) for text in encoded]
    return EncodeAnswer(encoder=encoder, key_dim=len(vectors[0]), vectors=vectors)


def _one_vector(encoded: EncodedText) -> list[float]:
    mean_D = encoded.keys_SD.mean(axis=0)
    length = float((mean_D * mean_D).sum()) ** 0.5
    vector: list[float] = (mean_D / max(length, 1e-12)).tolist()
    return vector
