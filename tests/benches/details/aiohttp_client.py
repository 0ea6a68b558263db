"""The same with asyncio and aiohttp: asks all sources at once, again and again.

Prints how long each round took, in seconds, as JSON.
"""

import argparse
import asyncio
import json
import time

import aiohttp


async def ask(session, url):
    async with session.get(url) as response:
        response.raise_for_status()
        return json.loads(await response.read())


async def measure(urls, rounds, warm_up):
    took = []
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=1)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        for _ in range(warm_up + rounds):
            began = time.perf_counter()
            await asyncio.gather(*(ask(session, url) for url in urls))
            took.append(time.perf_counter() - began)
    return took[warm_up:]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--warm-up", type=int, required=True)
    parser.add_argument("urls", nargs="+")
    arguments = parser.parse_args()
    took = measure(arguments.urls, arguments.rounds, arguments.warm_up)
    print(json.dumps(asyncio.run(took)))


main()
