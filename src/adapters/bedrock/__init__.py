"""The Bedrock family: Converse and ConverseStream, one API for the models of many makers."""

from tollgate.adapters.bedrock.chat import ChatCall
from tollgate.adapters.bedrock.chat_request import fetches_url
from tollgate.gateway.ports import Family

FAMILY = Family({"chat": ChatCall}, fetches_url)
