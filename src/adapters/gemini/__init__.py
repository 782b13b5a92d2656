"""The Gemini family: generateContent and streamGenerateContent."""

from tollgate.adapters.gemini.chat import ChatCall
from tollgate.adapters.gemini.chat_request import fetches_url
from tollgate.gateway.ports import Family

FAMILY = Family({"chat": ChatCall}, fetches_url)
