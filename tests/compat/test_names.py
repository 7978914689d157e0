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
from prefect import __version__, context, exceptions, settings
from prefect.artifacts import Artifact, acreate_markdown_artifact, acreate_table_artifact
from prefect.artifacts import acreate_link_artifact, MarkdownArtifact, TableArtifact, LinkArtifact
from prefect.artifacts import ProgressArtifact, ImageArtifact
from prefect.blocks.abstract import JobBlock, JobRun, CredentialsBlock, NotificationBlock, DatabaseBlock
from prefect.blocks.abstract import ObjectStorageBlock, SecretBlock, NotificationError
from prefect.blocks.fields import SecretDict
from prefect.blocks.notifications import MicrosoftTeamsWebhook, TwilioSMS, OpsgenieWebhook
from prefect.blocks.notifications import MattermostWebhook, DiscordWebhook, SendgridEmail
from prefect.blocks.notifications import AppriseNotificationBlock, NotificationBlock
from prefect.blocks.notifications import AbstractAppriseNotificationBlock
from prefect.cache_policies import Inputs, TaskSource, RunId
from prefect.client import get_client
from prefect.client.base import ServerType, determine_server_type
from prefect.client.orchestration import PrefectClient, SyncPrefectClient, ServerType
from prefect.client.schemas import FlowRun, TaskRun, State, StateType, OrchestrationResult, StateCreate
from prefect.client.schemas import FlowRunPolicy
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate, WorkQueueCreate, DeploymentCreate
from prefect.client.schemas.actions import DeploymentUpdate, DeploymentScheduleCreate
from prefect.client.schemas.actions import DeploymentScheduleUpdate, DeploymentFlowRunCreate, FlowRunCreate
from prefect.client.schemas.actions import StateCreate, LogCreate, ArtifactCreate, VariableCreate
from prefect.client.schemas.actions import VariableUpdate, BlockTypeUpdate, BlockTypeCreate
from prefect.client.schemas.actions import BlockSchemaCreate, BlockDocumentCreate, BlockDocumentUpdate
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from prefect.client.schemas.actions import ConcurrencyLimitCreate, FlowRunUpdate, TaskRunCreate
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.client.schemas.filters import FlowRunFilterId, FlowRunFilterName, FlowRunFilterStateName
from prefect.client.schemas.filters import FlowRunFilterStateType, FlowRunFilterStartTime
from prefect.client.schemas.filters import FlowRunFilterEndTime, FlowRunFilterExpectedStartTime
from prefect.client.schemas.filters import FlowRunFilterTags, FlowRunFilterDeploymentId
from prefect.client.schemas.filters import FlowRunFilterParentFlowRunId, FlowRunFilterParentTaskRunId
from prefect.client.schemas.filters import FlowRunFilterIdempotencyKey, FlowRunFilterWorkQueueName
from prefect.client.schemas.filters import FlowFilter, FlowFilterId, FlowFilterName, FlowFilterTags
from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterFlowRunId, TaskRunFilterStartTime
from prefect.client.schemas.filters import TaskRunFilterState, TaskRunFilterStateType
from prefect.client.schemas.filters import TaskRunFilterStateName, TaskRunFilterName, TaskRunFilterId
from prefect.client.schemas.filters import DeploymentFilterId, DeploymentFilterName, DeploymentFilterTags
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId, LogFilterLevel, LogFilterTaskRunId
from prefect.client.schemas.filters import LogFilterTimestamp, WorkPoolFilter, WorkPoolFilterId
from prefect.client.schemas.filters import WorkPoolFilterName, WorkPoolFilterType, WorkQueueFilter
from prefect.client.schemas.filters import WorkQueueFilterName, WorkQueueFilterId, WorkerFilter
from prefect.client.schemas.filters import WorkerFilterStatus, ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.filters import ArtifactFilterFlowRunId, ArtifactFilterType, VariableFilter
from prefect.client.schemas.filters import VariableFilterName, VariableFilterTags, BlockDocumentFilter
from prefect.client.schemas.filters import BlockDocumentFilterName, BlockTypeFilter, BlockTypeFilterSlug
from prefect.client.schemas.filters import StateType
from prefect.client.schemas.objects import TaskRun, Flow, Deployment, DeploymentSchedule, WorkPool
from prefect.client.schemas.objects import WorkQueue, Worker, WorkerStatus, WorkPoolStatus, WorkQueueStatus
from prefect.client.schemas.objects import DeploymentStatus, Log, Variable, Artifact, BlockDocument
from prefect.client.schemas.objects import BlockType, BlockSchema, ConcurrencyOptions
from prefect.client.schemas.objects import GlobalConcurrencyLimit, ConcurrencyLimit, TERMINAL_STATES
from prefect.client.schemas.objects import DEFAULT_AGENT_WORK_POOL_NAME, DEFAULT_BLOCK_SCHEMA_VERSION
from prefect.client.schemas.objects import CreatedBy, UpdatedBy, FlowRunPolicy, TaskRunPolicy
from prefect.client.schemas.objects import WorkPoolStorageConfiguration, Integration, WorkerMetadata
from prefect.client.schemas.objects import RunInput, FlowRunInput
from prefect.client.schemas.responses import DeploymentResponse, FlowRunResponse
from prefect.client.schemas.responses import GlobalConcurrencyLimitResponse, OrchestrationResult
from prefect.client.schemas.responses import SetStateStatus, MinimalConcurrencyLimitResponse
from prefect.client.schemas.responses import WorkerFlowRunResponse, StateAcceptDetails, StateRejectDetails
from prefect.client.schemas.responses import StateAbortDetails, StateWaitDetails
from prefect.client.schemas.schedules import NoSchedule, SCHEDULE_TYPES, is_schedule_type
from prefect.client.schemas.sorting import TaskRunSort, FlowSort, DeploymentSort, LogSort, ArtifactSort
from prefect.client.schemas.sorting import ArtifactCollectionSort, VariableSort, BlockDocumentSort
from prefect.client.utilities import get_or_create_client, inject_client, client_injector
from prefect.client.constants import SERVER_API_VERSION
from prefect.context import TagsContext, hydrated_context, serialize_context, use_profile
from prefect.deployments import deploy, arun_deployment, runner
from prefect.deployments.flow_runs import run_deployment, arun_deployment
from prefect.deployments.runner import EntrypointType, DockerImage, DeploymentApplyError
from prefect.deployments.steps import git_clone, run_shell_script, pip_install_requirements
from prefect.deployments.steps import set_working_directory, pull_from_remote_storage, pull_with_block
from prefect.deployments.steps.core import run_step, run_steps, StepExecutionError
from prefect.deployments.steps.pull import git_clone, set_working_directory
from prefect.deployments.steps.utility import run_shell_script, pip_install_requirements
from prefect.docker.docker_image import DockerImage
from prefect.exceptions import MissingContextError, ObjectAlreadyExists, PrefectHTTPStatusError
from prefect.exceptions import CancelledRun, PausedRun, UpstreamTaskError, TerminationSignal, Abort, Pause
from prefect.exceptions import ExternalSignal, ScriptError, MissingFlowError, UnspecifiedFlowError
from prefect.exceptions import ParameterTypeError, ParameterBindError, SignatureMismatchError
from prefect.exceptions import ReservedArgumentError, InvalidNameError, InfrastructureError
from prefect.exceptions import FlowRunWaitTimeout, FlowPauseTimeout, NotPausedError
from prefect.exceptions import InvalidRepositoryURLError, ConfigurationError, MappingLengthMismatch
from prefect.exceptions import MappingMissingIterable, HashError, ValidationError
from prefect.exceptions import ProfileSettingsValidationError, MissingProfileError
from prefect.filesystems import ReadableFileSystem, WritableFileSystem, WritableDeploymentStorage
from prefect.filesystems import ReadableDeploymentStorage
from prefect.flow_engine import run_flow, run_flow_async, run_flow_sync
from prefect.flow_runs import resume_flow_run
from prefect.flows import State, FlowRun, FlowStateHook, load_function_and_convert_to_flow, serve
from prefect.flows import select_flow, MissingFlowError
from prefect.futures import PrefectConcurrentFuture, PrefectDistributedFuture, resolve_futures_to_states
from prefect.locking.protocol import LockManager
from prefect.logging import LogEavesdropper
from prefect.logging.configuration import setup_logging, load_logging_config, DEFAULT_LOGGING_SETTINGS_PATH
from prefect.logging.configuration import PROCESS_LOGGING_CONFIG, ensure_logging_setup
from prefect.logging.formatters import PrefectFormatter, JsonFormatter
from prefect.logging.loggers import get_logger, disable_run_logger, LogEavesdropper, get_worker_logger
from prefect.results import ResultRecord
from prefect.runner import Runner
from prefect.runner.runner import Runner
from prefect.runner.storage import RemoteStorage, LocalStorage, BlockStorageAdapter, RunnerStorage
from prefect.runner.storage import create_storage_from_source
from prefect.runtime.flow_run import id, name, parameters, get_id, get_name, get_parameters
from prefect.runtime.flow_run import get_scheduled_start_time, get_tags, get_parent_flow_run_id
from prefect.runtime.task_run import get_id, get_name, id
from prefect.schedules import Schedule
from prefect.serializers import Serializer, CompressedSerializer, CompressedPickleSerializer
from prefect.server.schemas import filters, actions, schedules, sorting, responses
from prefect.server.schemas.actions import LogCreate, DeploymentCreate, DeploymentUpdate, WorkPoolCreate
from prefect.server.schemas.actions import WorkPoolUpdate, FlowRunCreate, FlowCreate, StateCreate
from prefect.server.schemas.actions import ConcurrencyLimitCreate, BlockDocumentCreate
from prefect.server.schemas.core import Flow, FlowRun, TaskRun, Deployment, WorkPool, WorkQueue, Log
from prefect.server.schemas.core import BlockDocument, BlockType, BlockSchema, CreatedBy, UpdatedBy
from prefect.server.schemas.core import FlowRunPolicy, TaskRunPolicy, TaskRunResult, Variable, Artifact
from prefect.server.schemas.core import ConcurrencyLimit, Worker, ConcurrencyOptions
from prefect.server.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.server.schemas.filters import FlowRunFilterStateName, FlowRunFilterStartTime, FlowRunFilterName
from prefect.server.schemas.filters import FlowRunFilterId, FlowRunFilterTags, FlowRunFilterDeploymentId
from prefect.server.schemas.filters import FlowFilter, FlowFilterId, FlowFilterName, DeploymentFilter
from prefect.server.schemas.filters import DeploymentFilterId, DeploymentFilterName, DeploymentFilterTags
from prefect.server.schemas.filters import TaskRunFilter, TaskRunFilterState, TaskRunFilterFlowRunId
from prefect.server.schemas.filters import LogFilter, LogFilterFlowRunId, WorkPoolFilter, WorkPoolFilterName
from prefect.server.schemas.filters import WorkQueueFilter
from prefect.server.schemas.responses import DeploymentResponse, SetStateStatus, FlowRunResponse
from prefect.server.schemas.responses import OrchestrationResult, WorkerFlowRunResponse, StateAbortDetails
from prefect.server.schemas.sorting import FlowRunSort, FlowSort, DeploymentSort, LogSort, TaskRunSort
from prefect.server.schemas.states import State, StateType, StateDetails, Completed, Failed, Running
from prefect.server.schemas.states import Pending, Scheduled, Crashed, Cancelled, Cancelling, Paused
from prefect.server.schemas.states import TERMINAL_STATES, AwaitingRetry, Late, Retrying
from prefect.server.schemas.statuses import WorkPoolStatus, DeploymentStatus, WorkQueueStatus, WorkerStatus
from prefect.settings import PREFECT_UI_URL, PREFECT_HOME, PREFECT_LOGGING_LEVEL, PREFECT_DEBUG_MODE
from prefect.settings import PREFECT_TEST_MODE, PREFECT_RESULTS_PERSIST_BY_DEFAULT
from prefect.settings import PREFECT_DEFAULT_WORK_POOL_NAME, PREFECT_API_DATABASE_CONNECTION_URL
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, PREFECT_TASK_DEFAULT_RETRIES
from prefect.settings import PREFECT_CLOUD_API_URL, PREFECT_WORKER_QUERY_SECONDS
from prefect.settings import PREFECT_WORKER_PREFETCH_SECONDS, PREFECT_RUNNER_POLL_FREQUENCY
from prefect.settings import PREFECT_DEFAULT_DOCKER_BUILD_NAMESPACE, PREFECT_RESULTS_LOCAL_STORAGE_PATH
from prefect.settings import Settings, load_profiles, load_profile, load_current_profile, Profile
from prefect.settings import ProfilesCollection, update_current_profile
from prefect.states import Cancelling, Suspended, AwaitingRetry, Late, Retrying, get_state_result
from prefect.states import is_state_iterable, return_value_to_state, StateType, StateDetails
from prefect.task_engine import run_task, run_task_async, run_task_sync
from prefect.task_runners import TaskRunner
from prefect.task_worker import TaskWorker
from prefect.tasks import State, FlowRunContext
from prefect.testing.utilities import exceptions_equal, assert_does_not_warn, assert_blocks_equal
from prefect.testing.utilities import get_most_recent_flow_run
from prefect.transactions import Transaction, TransactionState, atransaction, BaseTransaction
from prefect.transactions import AsyncTransaction
from prefect.types import DateTime, StrictVariableValue, PositiveInteger, NonNegativeFloat, PositiveInterval
from prefect.types import KeyValueLabels, KeyValueLabelsField, MAX_VARIABLE_NAME_LENGTH
from prefect.types import MAX_VARIABLE_VALUE_LENGTH, Name, NameOrEmpty, NonEmptyishName
from prefect.types import ListOfNonEmptyStrings, TimeZone, LogLevel, BANNED_CHARACTERS
from prefect.types import TaskRetryDelaySeconds, Date
from prefect.types._datetime import now, DateTime, parse_datetime, human_friendly_diff
from prefect.types._datetime import create_datetime_instance, to_datetime_string, from_timestamp
from prefect.types._datetime import in_local_tz, Duration, Date
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.annotations import Quote, NotSet, BaseAnnotation, freeze, opaque
from prefect.utilities.asyncutils import run_async_from_worker_thread, run_async_in_new_loop, sync
from prefect.utilities.asyncutils import is_async_fn, is_async_gen_fn, gather, in_async_main_thread
from prefect.utilities.asyncutils import in_async_worker_thread, asyncnullcontext, create_task
from prefect.utilities.callables import parameter_schema, ParameterSchema, get_call_parameters
from prefect.utilities.callables import get_parameter_defaults, parameters_to_args_kwargs
from prefect.utilities.callables import call_with_parameters, collapse_variadic_parameters
from prefect.utilities.callables import explode_variadic_parameter, raise_for_reserved_arguments
from prefect.utilities.callables import cloudpickle_wrapped_call, parameter_docstrings
from prefect.utilities.callables import parameter_schema_from_entrypoint
from prefect.utilities.collections import AutoEnum, listrepr, visit_collection, StopVisiting
from prefect.utilities.collections import dict_to_flatdict, flatdict_to_dict, batched_iterable, isiterable
from prefect.utilities.collections import ensure_iterable, extract_instances, remove_nested_keys, distinct
from prefect.utilities.collections import get_from_dict, set_in_dict, deep_merge, deep_merge_dicts
from prefect.utilities.context import temporary_context, get_task_and_flow_run_ids, get_flow_run_id
from prefect.utilities.context import get_task_run_id
from prefect.utilities.dockerutils import parse_image_tag, docker_client, split_repository_path
from prefect.utilities.dockerutils import python_version_minor, python_version_micro
from prefect.utilities.filesystem import tmpchdir, filter_files, relative_path_to_current_platform
from prefect.utilities.filesystem import is_local_path, to_display_path, filename
from prefect.utilities.hashing import file_hash
from prefect.utilities.importtools import import_object, load_script_as_module, to_qualified_name
from prefect.utilities.importtools import from_qualified_name, lazy_import, load_module
from prefect.utilities.names import generate_slug, obfuscate, obfuscate_string
from prefect.utilities.processutils import run_process, open_process, stream_text, get_sys_executable
from prefect.utilities.processutils import command_to_string, command_from_string, consume_process_output
from prefect.utilities.pydantic import parse_obj_as, get_class_fields_only, handle_secret_render
from prefect.utilities.slugify import slugify
from prefect.utilities.templating import apply_values, find_placeholders, resolve_variables
from prefect.utilities.templating import resolve_block_document_references, determine_placeholder_type
from prefect.utilities.templating import PlaceholderType, Placeholder
from prefect.utilities.text import truncated_to, fuzzy_match_string
from prefect.utilities.timeout import timeout, timeout_async
from prefect.utilities.urls import url_for, validate_restricted_url, convert_class_to_name
from prefect.utilities.visualization import VisualizationUnsupportedError
import prefect.runtime.flow_run
import prefect, prefect.flows, prefect.blocks.system
"""
ABSENT = {
    "from prefect.events import emit_event": "Runyard has no events yet",
    "from prefect.automations import Automation": "Runyard has no automations yet",
    "from prefect.assets import materialize": "Runyard does not store assets",
    "from prefect.filesystems import SMB": "mount the share",
    "from prefect.infrastructure import DockerContainer": "work pools replaced infrastructure blocks",
    "from prefect.agent import PrefectAgent": "workers replaced agents",
    "import prefect.no_such_module": "Runyard has no prefect.no_such_module",
    "from prefect.utilities.math import poisson_interval": "write your own",
    "from prefect.logging.filters import ObfuscateApiKeyFilter": "Runyard removes secrets",
    "from prefect.workers.base import BaseWorker": "runyard worker start",
    "from prefect.utilities.dockerutils import build_image": "prefect.docker.DockerImage",
    "from prefect.concurrency.v1.sync import concurrency": "prefect.concurrency.sync",
    "from prefect.settings import PREFECT_SERVER_NO_SUCH": "unknown setting",
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
    assert done.stdout == "runyard.settings runyard.client runyard.prefect_names.setting_names\n"
