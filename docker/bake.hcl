# docker buildx bake -f docker/bake.hcl          every image, for amd64 and arm64 (DGX Spark)
# docker buildx bake -f docker/bake.hcl base --set '*.platform=linux/amd64' --load
variable "VERSION" { default = "0.0.0" }
variable "REVISION" { default = "unknown" }
variable "REPOSITORY" { default = "neuralmemory/base" }
variable "TORCH_INDEX" { default = "" }

group "default" { targets = ["base", "slim", "cuda", "hf"] }

target "_common" {
  context    = "."
  dockerfile = "docker/Dockerfile"
  platforms  = ["linux/amd64", "linux/arm64"]
  args       = { VERSION = VERSION, REVISION = REVISION, TORCH_INDEX = TORCH_INDEX }
}

target "base" {
  inherits = ["_common"]
  target   = "base"
  tags     = ["${REPOSITORY}:latest", "${REPOSITORY}:${VERSION}"]
}

target "slim" {
  inherits = ["_common"]
  target   = "slim"
  tags     = ["${REPOSITORY}:slim"]
}

target "cuda" {
  inherits = ["_common"]
  target   = "cuda"
  args     = { TORCH_INDEX = "" }
  tags     = ["${REPOSITORY}:cuda"]
}

target "hf" {
  inherits = ["_common"]
  target   = "hf"
  tags     = ["${REPOSITORY}:hf"]
}

target "dev" {
  inherits  = ["_common"]
  target    = "dev"
  platforms = ["linux/amd64"]
  tags      = ["${REPOSITORY}:dev"]
}

target "expert" {
  inherits = ["_common"]
  target   = "expert"
  args     = { NMEM = "build/expert/python.nmem", DOMAIN = "python" }
  tags     = ["neuralmemory/code:python"]
}
