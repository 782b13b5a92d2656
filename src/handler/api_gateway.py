"""The Lambda entry point behind API Gateway: `lambda_handler`, which Lambda's managed runtime calls."""

import logging
import os

from fastapi import FastAPI
from mangum import Mangum

from tollgate.handler.components import build
from tollgate.handler.http.app import Application
from tollgate.handler.http.responses import is_no_broken_stream
from tollgate.handler.settings import from_environment

logging.getLogger("mangum.http").addFilter(is_no_broken_stream)
api = FastAPI(title="Tollgate", openapi_url=None)
api.mount("/", Application(build(from_environment(os.environ))))
lambda_handler = Mangum(api, lifespan="off")
