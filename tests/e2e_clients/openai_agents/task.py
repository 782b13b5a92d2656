"""One task of an agent of the OpenAI Agents SDK: it calls its only tool and prints its final answer."""

import asyncio
import os
import subprocess
import sys
from typing import Any

from agents import Agent, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI


@function_tool
def run(command: str) -> str:
    """Run a shell command and return what it prints."""
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout


async def main(model: str) -> None:
    """Run the task, streamed."""
    set_tracing_disabled(True)
    client: Any = AsyncOpenAI(base_url=os.environ["TOLLGATE_BASE_URL"], api_key=os.environ["TOLLGATE_API_KEY"])
    agent = Agent(name="clerk", tools=[run], model=OpenAIResponsesModel(model=model, openai_client=client))
    result = Runner.run_streamed(agent, "Run the tool and say what it printed.")
    async for event in result.stream_events():
        print(event.type)
    print(result.final_output)


asyncio.run(main(sys.argv[1]))
