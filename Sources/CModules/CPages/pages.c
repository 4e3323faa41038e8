#include "cpages.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

// A file that is added gets its lines here, and at the end; a test compares the list with the folder.

static const unsigned char openapi_json[] = {
#embed "../../Console/openapi.json"
};
#if __has_embed("../../Console/Pages/acknowledgements.js")
static const unsigned char page_acknowledgements_js[] = {
#embed "../../Console/Pages/acknowledgements.js"
};
#endif
#if __has_embed("../../Console/Pages/api.js")
static const unsigned char page_api_js[] = {
#embed "../../Console/Pages/api.js"
};
#endif
#if __has_embed("../../Console/Pages/app.js")
static const unsigned char page_app_js[] = {
#embed "../../Console/Pages/app.js"
};
#endif
#if __has_embed("../../Console/Pages/chart.js")
static const unsigned char page_chart_js[] = {
#embed "../../Console/Pages/chart.js"
};
#endif
#if __has_embed("../../Console/Pages/decimal.js")
static const unsigned char page_decimal_js[] = {
#embed "../../Console/Pages/decimal.js"
};
#endif
#if __has_embed("../../Console/Pages/dialog.js")
static const unsigned char page_dialog_js[] = {
#embed "../../Console/Pages/dialog.js"
};
#endif
#if __has_embed("../../Console/Pages/dispositions.js")
static const unsigned char page_dispositions_js[] = {
#embed "../../Console/Pages/dispositions.js"
};
#endif
#if __has_embed("../../Console/Pages/dom.js")
static const unsigned char page_dom_js[] = {
#embed "../../Console/Pages/dom.js"
};
#endif
#if __has_embed("../../Console/Pages/editor.js")
static const unsigned char page_editor_js[] = {
#embed "../../Console/Pages/editor.js"
};
#endif
#if __has_embed("../../Console/Pages/en.json")
static const unsigned char page_en_json[] = {
#embed "../../Console/Pages/en.json"
};
#endif
#if __has_embed("../../Console/Pages/events.js")
static const unsigned char page_events_js[] = {
#embed "../../Console/Pages/events.js"
};
#endif
#if __has_embed("../../Console/Pages/format.js")
static const unsigned char page_format_js[] = {
#embed "../../Console/Pages/format.js"
};
#endif
#if __has_embed("../../Console/Pages/i18n.js")
static const unsigned char page_i18n_js[] = {
#embed "../../Console/Pages/i18n.js"
};
#endif
#if __has_embed("../../Console/Pages/icon.svg")
static const unsigned char page_icon_svg[] = {
#embed "../../Console/Pages/icon.svg"
};
#endif
#if __has_embed("../../Console/Pages/index.html")
static const unsigned char page_index_html[] = {
#embed "../../Console/Pages/index.html"
};
#endif
#if __has_embed("../../Console/Pages/keys.js")
static const unsigned char page_keys_js[] = {
#embed "../../Console/Pages/keys.js"
};
#endif
#if __has_embed("../../Console/Pages/layout.js")
static const unsigned char page_layout_js[] = {
#embed "../../Console/Pages/layout.js"
};
#endif
#if __has_embed("../../Console/Pages/parts.js")
static const unsigned char page_parts_js[] = {
#embed "../../Console/Pages/parts.js"
};
#endif
#if __has_embed("../../Console/Pages/popups.js")
static const unsigned char page_popups_js[] = {
#embed "../../Console/Pages/popups.js"
};
#endif
#if __has_embed("../../Console/Pages/rollback.js")
static const unsigned char page_rollback_js[] = {
#embed "../../Console/Pages/rollback.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-alert.js")
static const unsigned char page_screen_alert_js[] = {
#embed "../../Console/Pages/screen-alert.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-alerts.js")
static const unsigned char page_screen_alerts_js[] = {
#embed "../../Console/Pages/screen-alerts.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-audit.js")
static const unsigned char page_screen_audit_js[] = {
#embed "../../Console/Pages/screen-audit.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-change.js")
static const unsigned char page_screen_change_js[] = {
#embed "../../Console/Pages/screen-change.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-changes.js")
static const unsigned char page_screen_changes_js[] = {
#embed "../../Console/Pages/screen-changes.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-graph.js")
static const unsigned char page_screen_graph_js[] = {
#embed "../../Console/Pages/screen-graph.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-history.js")
static const unsigned char page_screen_history_js[] = {
#embed "../../Console/Pages/screen-history.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-letters.js")
static const unsigned char page_screen_letters_js[] = {
#embed "../../Console/Pages/screen-letters.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-login.js")
static const unsigned char page_screen_login_js[] = {
#embed "../../Console/Pages/screen-login.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-me.js")
static const unsigned char page_screen_me_js[] = {
#embed "../../Console/Pages/screen-me.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-models.js")
static const unsigned char page_screen_models_js[] = {
#embed "../../Console/Pages/screen-models.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-notifications.js")
static const unsigned char page_screen_notifications_js[] = {
#embed "../../Console/Pages/screen-notifications.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-overview.js")
static const unsigned char page_screen_overview_js[] = {
#embed "../../Console/Pages/screen-overview.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-people.js")
static const unsigned char page_screen_people_js[] = {
#embed "../../Console/Pages/screen-people.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-rule.js")
static const unsigned char page_screen_rule_js[] = {
#embed "../../Console/Pages/screen-rule.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-rules.js")
static const unsigned char page_screen_rules_js[] = {
#embed "../../Console/Pages/screen-rules.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-tasks.js")
static const unsigned char page_screen_tasks_js[] = {
#embed "../../Console/Pages/screen-tasks.js"
};
#endif
#if __has_embed("../../Console/Pages/screen-text.js")
static const unsigned char page_screen_text_js[] = {
#embed "../../Console/Pages/screen-text.js"
};
#endif
#if __has_embed("../../Console/Pages/style.css")
static const unsigned char page_style_css[] = {
#embed "../../Console/Pages/style.css"
};
#endif
#if __has_embed("../../Console/Pages/table.js")
static const unsigned char page_table_js[] = {
#embed "../../Console/Pages/table.js"
};
#endif
#if __has_embed("../../Console/Pages/zh.json")
static const unsigned char page_zh_json[] = {
#embed "../../Console/Pages/zh.json"
};
#endif

const struct mr_page mr_pages[] = {
    { "openapi.json", openapi_json, sizeof openapi_json },
#if __has_embed("../../Console/Pages/acknowledgements.js")
    { "acknowledgements.js", page_acknowledgements_js, sizeof page_acknowledgements_js },
#endif
#if __has_embed("../../Console/Pages/api.js")
    { "api.js", page_api_js, sizeof page_api_js },
#endif
#if __has_embed("../../Console/Pages/app.js")
    { "app.js", page_app_js, sizeof page_app_js },
#endif
#if __has_embed("../../Console/Pages/chart.js")
    { "chart.js", page_chart_js, sizeof page_chart_js },
#endif
#if __has_embed("../../Console/Pages/decimal.js")
    { "decimal.js", page_decimal_js, sizeof page_decimal_js },
#endif
#if __has_embed("../../Console/Pages/dialog.js")
    { "dialog.js", page_dialog_js, sizeof page_dialog_js },
#endif
#if __has_embed("../../Console/Pages/dispositions.js")
    { "dispositions.js", page_dispositions_js, sizeof page_dispositions_js },
#endif
#if __has_embed("../../Console/Pages/dom.js")
    { "dom.js", page_dom_js, sizeof page_dom_js },
#endif
#if __has_embed("../../Console/Pages/editor.js")
    { "editor.js", page_editor_js, sizeof page_editor_js },
#endif
#if __has_embed("../../Console/Pages/en.json")
    { "en.json", page_en_json, sizeof page_en_json },
#endif
#if __has_embed("../../Console/Pages/events.js")
    { "events.js", page_events_js, sizeof page_events_js },
#endif
#if __has_embed("../../Console/Pages/format.js")
    { "format.js", page_format_js, sizeof page_format_js },
#endif
#if __has_embed("../../Console/Pages/i18n.js")
    { "i18n.js", page_i18n_js, sizeof page_i18n_js },
#endif
#if __has_embed("../../Console/Pages/icon.svg")
    { "icon.svg", page_icon_svg, sizeof page_icon_svg },
#endif
#if __has_embed("../../Console/Pages/index.html")
    { "index.html", page_index_html, sizeof page_index_html },
#endif
#if __has_embed("../../Console/Pages/keys.js")
    { "keys.js", page_keys_js, sizeof page_keys_js },
#endif
#if __has_embed("../../Console/Pages/layout.js")
    { "layout.js", page_layout_js, sizeof page_layout_js },
#endif
#if __has_embed("../../Console/Pages/parts.js")
    { "parts.js", page_parts_js, sizeof page_parts_js },
#endif
#if __has_embed("../../Console/Pages/popups.js")
    { "popups.js", page_popups_js, sizeof page_popups_js },
#endif
#if __has_embed("../../Console/Pages/rollback.js")
    { "rollback.js", page_rollback_js, sizeof page_rollback_js },
#endif
#if __has_embed("../../Console/Pages/screen-alert.js")
    { "screen-alert.js", page_screen_alert_js, sizeof page_screen_alert_js },
#endif
#if __has_embed("../../Console/Pages/screen-alerts.js")
    { "screen-alerts.js", page_screen_alerts_js, sizeof page_screen_alerts_js },
#endif
#if __has_embed("../../Console/Pages/screen-audit.js")
    { "screen-audit.js", page_screen_audit_js, sizeof page_screen_audit_js },
#endif
#if __has_embed("../../Console/Pages/screen-change.js")
    { "screen-change.js", page_screen_change_js, sizeof page_screen_change_js },
#endif
#if __has_embed("../../Console/Pages/screen-changes.js")
    { "screen-changes.js", page_screen_changes_js, sizeof page_screen_changes_js },
#endif
#if __has_embed("../../Console/Pages/screen-graph.js")
    { "screen-graph.js", page_screen_graph_js, sizeof page_screen_graph_js },
#endif
#if __has_embed("../../Console/Pages/screen-history.js")
    { "screen-history.js", page_screen_history_js, sizeof page_screen_history_js },
#endif
#if __has_embed("../../Console/Pages/screen-letters.js")
    { "screen-letters.js", page_screen_letters_js, sizeof page_screen_letters_js },
#endif
#if __has_embed("../../Console/Pages/screen-login.js")
    { "screen-login.js", page_screen_login_js, sizeof page_screen_login_js },
#endif
#if __has_embed("../../Console/Pages/screen-me.js")
    { "screen-me.js", page_screen_me_js, sizeof page_screen_me_js },
#endif
#if __has_embed("../../Console/Pages/screen-models.js")
    { "screen-models.js", page_screen_models_js, sizeof page_screen_models_js },
#endif
#if __has_embed("../../Console/Pages/screen-notifications.js")
    { "screen-notifications.js", page_screen_notifications_js, sizeof page_screen_notifications_js },
#endif
#if __has_embed("../../Console/Pages/screen-overview.js")
    { "screen-overview.js", page_screen_overview_js, sizeof page_screen_overview_js },
#endif
#if __has_embed("../../Console/Pages/screen-people.js")
    { "screen-people.js", page_screen_people_js, sizeof page_screen_people_js },
#endif
#if __has_embed("../../Console/Pages/screen-rule.js")
    { "screen-rule.js", page_screen_rule_js, sizeof page_screen_rule_js },
#endif
#if __has_embed("../../Console/Pages/screen-rules.js")
    { "screen-rules.js", page_screen_rules_js, sizeof page_screen_rules_js },
#endif
#if __has_embed("../../Console/Pages/screen-tasks.js")
    { "screen-tasks.js", page_screen_tasks_js, sizeof page_screen_tasks_js },
#endif
#if __has_embed("../../Console/Pages/screen-text.js")
    { "screen-text.js", page_screen_text_js, sizeof page_screen_text_js },
#endif
#if __has_embed("../../Console/Pages/style.css")
    { "style.css", page_style_css, sizeof page_style_css },
#endif
#if __has_embed("../../Console/Pages/table.js")
    { "table.js", page_table_js, sizeof page_table_js },
#endif
#if __has_embed("../../Console/Pages/zh.json")
    { "zh.json", page_zh_json, sizeof page_zh_json },
#endif
    { 0, 0, 0 },
};
