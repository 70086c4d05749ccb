"""Settings come from the environment once, and what makes no sense is named."""

from pathlib import Path

import pytest

from app.settings import Settings, SettingsError, read_settings
from services.domain.accounts import Platform


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of this machine's counts, and no .env file."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def test_an_empty_environment_is_enough() -> None:
    """The defaults are those of the README."""
    settings = read_settings()
    assert settings.port == 8000
    assert settings.publication_limits == {Platform.INSTAGRAM: 25, Platform.FACEBOOK: 50, Platform.YOUTUBE: 10}
    assert settings.external_url == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "99999"),
        ("PORT", "eight thousand"),
        ("REQUEST_TIMEOUT", "0"),
        ("ENVIRONMENT", "staging"),
        ("DATABASE_URL", "mysql://somebody:hidden@host/db"),
        ("REDIS_URL", "http://host"),
        ("REDIS_URL", "redis://me:hid/hidden@host"),
        ("REDIS_URL", "redis+sentinel://:hidden@one:26379,two:26379"),
        ("REDIS_URL", "redis+sentinel://:hidden@,/crier"),
        ("REDIS_URL", "redis+sentinel://one:hidden/crier"),
        ("REDIS_URL", "redis+sentinel://one:26379/crier/hidden"),
        ("DB_POOL_MAX", "0"),
        ("LOG_FORMAT", "xml"),
        ("RATE_LIMIT_INSTAGRAM", "-1"),
        ("RATE_LIMIT_YOUTUBE", "99999999999999999999"),
        ("JWT_SECRET", "short"),
        ("JWT_JWKS_URL", "/no/such/file"),
        ("SECRET_KEYS", f"{'k' * 40},hidden"),
        ("DATABASE_URL", "postgresql://somebody:hidden@host/db?channel_binding=require"),
        ("PUBLIC_URL", "crier.example"),
        ("PUBLIC_URL", "https://crier.example/?x=1"),
        ("CORS_ORIGINS", "https://fine.test,crier.example"),
        ("CORS_ORIGINS", "https://app.example/path"),
        ("MEDIA_STORE", "ftp://host/folder"),
        ("MEDIA_STORE", "s3:///prefix"),
        ("INSTAGRAM_BASE_URL", "graph.instagram.com"),
        ("FACEBOOK_API_VERSION", "twenty-five"),
        ("YOUTUBE_CLIENT_ID", "without its secret"),
    ],
)
def test_a_bad_value_is_named_and_never_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """One line for whoever starts it; a secret in the value stays where it is."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as error:
        read_settings()
    assert "hidden" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"DB_POOL_MIN": "30", "DB_POOL_MAX": "20"}, "DB_POOL_MIN"),
        ({"ENVIRONMENT": "production"}, "SECRET_KEYS"),
        ({"JWT_SECRET": "s" * 40, "JWT_JWKS_URL": "https://example.com/jwks"}, "JWT_JWKS_URL"),
        ({"JWT_SECRET": "s" * 40}, "JWT_ISSUER"),
        ({"JWT_ISSUER": "https://issuer.test", "JWT_AUDIENCE": "crier"}, "JWT_SECRET"),
    ],
)
def test_values_that_do_not_fit_together_are_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str
) -> None:
    """Each is fine alone."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=told):
        read_settings()


def test_a_dotenv_file_counts_less_than_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both are read."""
    (tmp_path / ".env").write_text("PORT=9000\nSANDBOX_PORT=9001\nCORS_ORIGINS=https://a.test, https://b.test\n")
    monkeypatch.setenv("PORT", "7000")
    settings = read_settings()
    assert (settings.port, settings.sandbox_port) == (7000, 9001)
    assert settings.cors_origins == ("https://a.test", "https://b.test")


def test_a_variable_that_is_empty_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a .env file whose lines wait to be filled in; an empty token would let everybody in."""
    for name in Settings.model_fields:
        monkeypatch.setenv(name.upper(), "")
    assert read_settings() == Settings.model_construct()


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:8000"), ("::", "http://[::1]:8000"), ("box.test", "http://box.test:8000")],
)
def test_an_address_to_listen_on_is_told_as_one_to_open(monkeypatch: pytest.MonkeyPatch, host: str, url: str) -> None:
    """Nobody can open http://0.0.0.0/."""
    monkeypatch.setenv("HOST", host)
    assert read_settings().external_url == url


def test_tls_is_asked_for_as_hosts_of_postgresql_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is the client library's; our driver has another."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@h/d?sslmode=require")
    found = read_settings().database_url
    assert found is not None
    assert found.get_secret_value() == "postgresql+asyncpg://u:p@h/d?ssl=require"


def test_any_spelling_of_a_postgresql_url_is_driven_by_asyncpg(monkeypatch: pytest.MonkeyPatch) -> None:
    """As platforms hand it out."""
    for url in ("postgres://u@h/d", "postgresql://u@h/d", "postgresql+asyncpg://u@h/d"):
        monkeypatch.setenv("DATABASE_URL", url)
        found = read_settings().database_url
        assert found is not None
        assert found.get_secret_value() == "postgresql+asyncpg://u@h/d"
