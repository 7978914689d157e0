"""Every import line that scripts for Prefect 2 and 3 begin with."""

from __future__ import annotations

import subprocess
import sys

import pytest

LINES = """
from prefect import flow, task, Flow, Task, State, get_run_logger, tags, unmapped, allow_failure
from prefect import serve, deploy, aserve, get_client, runtime, states, Transaction
from prefect import pause_flow_run, suspend_flow_run, resume_flow_run
from prefect.artifacts import create_markdown_artifact, create_table_artifact, create_link_artifact
from prefect.artifacts import create_progress_artifact, update_progress_artifact, create_image_artifact
from prefect.blocks.core import Block, BlockNotSavedError, InvalidBlockRegistration
from prefect.blocks.notifications import SlackWebhook, PagerDutyWebHook, CustomWebhookNotificationBlock
from prefect.blocks.system import Secret, JSON, DateTime, String
from prefect.blocks.webhook import Webhook
from prefect.cache_policies import DEFAULT, INPUTS, TASK_SOURCE, RUN_ID, FLOW_PARAMETERS, NO_CACHE, NONE
from prefect.cache_policies import CachePolicy, CompoundCachePolicy, CacheKeyFnPolicy
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, DeploymentFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, construct_schedule
from prefect.client.schemas.sorting import FlowRunSort
from prefect.concurrency.asyncio import concurrency, rate_limit
from prefect.concurrency.sync import concurrency, rate_limit
from prefect.context import get_run_context, FlowRunContext, TaskRunContext, tags
from prefect.context import EngineContext, RunContext, SettingsContext, get_settings_context
from prefect.deployments import Deployment, run_deployment
from prefect.deployments.deployments import Deployment
from prefect.deployments.runner import RunnerDeployment, deploy
from prefect.docker import DockerImage
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, StateDetails
from prefect.client.schemas.objects import TaskRunResult, FlowRunResult, Parameter, Constant, VersionInfo
from prefect.exceptions import MissingResult, ObjectNotFound, PrefectException, FailedRun, CrashedRun
from prefect.exceptions import UnfinishedRun, PrefectSignal, PrefectImportError, SerializationError
from prefect.exceptions import InfrastructureNotFound, InfrastructureNotAvailable, BlockMissingCapabilities
from prefect.exceptions import ProtectedBlockError, ObjectUnsupported, exception_traceback
from prefect.filesystems import LocalFileSystem, RemoteFileSystem, S3, GCS, Azure, NullFileSystem
from prefect.flow_runs import wait_for_flow_run, pause_flow_run, suspend_flow_run
from prefect.flows import Flow, flow, load_flow_from_entrypoint
from prefect.futures import PrefectTaskRunFuture
from prefect.futures import wait, as_completed, PrefectFuture, PrefectFutureList, resolve_futures_to_results
from prefect.input import RunInput, send_input, receive_input
from prefect.locking.filesystem import FileSystemLockManager
from prefect.locking.memory import MemoryLockManager
from prefect.logging import get_run_logger, get_logger, disable_run_logger
from prefect.logging.loggers import get_run_logger, flow_run_logger, task_run_logger
from prefect.logging.loggers import PrefectLogAdapter, patch_print, print_as_log, disable_logger
from prefect.logging.handlers import APILogHandler, PrefectConsoleHandler
from prefect.results import ResultStore, get_result_store, should_persist_result, resolve_result_storage
from prefect.results import get_default_result_storage, get_default_persist_setting
from prefect.runner.storage import GitRepository
from prefect.runtime import flow_run, task_run, deployment
from prefect.schedules import Cron, Interval, RRule
from prefect.serializers import JSONSerializer, PickleSerializer, CompressedJSONSerializer
from prefect.serializers import prefect_json_object_encoder, prefect_json_object_decoder
from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings
from prefect.settings import PREFECT_API_KEY, PREFECT_LOCAL_STORAGE_PATH, PREFECT_TASKS_DEFAULT_RETRIES
from prefect.states import Completed, Failed, Cancelled, Crashed, Paused, Pending, Running, Scheduled
from prefect.states import raise_state_exception, get_state_exception, State
from prefect.states import StateGroup, exception_to_failed_state, exception_to_crashed_state, format_exception
from prefect.states import araise_state_exception, aget_state_exception, to_state_create
from prefect.task_runners import ThreadPoolTaskRunner, ConcurrentTaskRunner, SequentialTaskRunner
from prefect.task_runners import ProcessPoolTaskRunner
from prefect.task_worker import serve
from prefect.tasks import task, Task, exponential_backoff, task_input_hash, TaskOptions
from prefect.testing.utilities import prefect_test_harness
from prefect.transactions import transaction, get_transaction, CommitMode, IsolationLevel
from prefect.types import SecretDict, NonNegativeInteger
from prefect.utilities.annotations import quote, unmapped, allow_failure
from prefect.utilities.asyncutils import sync_compatible, run_coro_as_sync, run_sync_in_worker_thread
from prefect.utilities.hashing import hash_objects, stable_hash
from prefect.variables import Variable
import prefect.runtime.flow_run
import prefect, prefect.flows, prefect.blocks.system
"""
ABSENT = {
    "from prefect.events import emit_event": "there are no events yet",
    "from prefect.automations import Automation": "there are no automations yet",
    "from prefect.assets import materialize": "assets are not kept",
    "from prefect.filesystems import SMB": "mount the share",
    "from prefect.infrastructure import DockerContainer": "work pools replaced infrastructure blocks",
    "from prefect.agent import PrefectAgent": "workers replaced agents",
    "import prefect.no_such_module": "Runyard has no prefect.no_such_module",
    "from prefect.utilities.slugify import slugify": "write your own",
    "from prefect.concurrency.v1.sync import concurrency": "prefect.concurrency.sync",
    "from prefect.settings import PREFECT_SERVER_NO_SUCH": "there is no such setting",
    "from prefect.flow_engine import FlowRunEngine": "call the flow",
}


@pytest.fixture(scope="module")
def answers():
    """What each line says in a process of its own kind: None where it imports."""
    code = (
        "import json, sys\n"
        "from runyard.compat import imports\n"
        "imports.install(deployed=True)\n"
        "told = {}\n"
        "for line in json.load(sys.stdin):\n"
        "    try:\n"
        "        exec(line, {})\n"
        "        told[line] = None\n"
        "    except ImportError as error:\n"
        "        told[line] = imports.explain(error) or str(error)\n"
        "print(json.dumps(told))\n"
    )
    import json

    lines = [*LINES.strip().splitlines(), *ABSENT]
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(lines), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_it_imports(answers, line):
    assert answers[line] is None


@pytest.mark.parametrize("line", ABSENT)
def test_what_is_absent_says_what_to_use(answers, line):
    assert ABSENT[line] in answers[line]


def test_our_own_modules_stay_in_their_places():
    code = (
        "from runyard.compat import imports\n"
        "imports.install(deployed=True)\n"
        "import prefect.settings, prefect.client.orchestration\n"
        "from runyard import client, settings\n"
        "print(settings.__name__, client.__name__, prefect.settings.__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "runyard.settings runyard.client runyard.prefect_names.settings\n"
