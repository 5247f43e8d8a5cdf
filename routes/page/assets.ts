// The page's files as text, part of the module graph: the edge has no file access, at home or on Deno
// Deploy. Text imports are stable since Deno 2.8 and need no --allow-read.
// tests/routes/page/mod_test.ts finds a file that is missing here.

import announcerJs from "./browser/announcer.js" with { type: "text" };
import apiErrorJs from "./browser/api_error.js" with { type: "text" };
import apiKeyJs from "./browser/api_key.js" with { type: "text" };
import beforeImageJs from "./browser/before_image.js" with { type: "text" };
import calibratedPlanJs from "./browser/calibrated_plan.js" with { type: "text" };
import chosenImageJs from "./browser/chosen_image.js" with { type: "text" };
import comparisonViewJs from "./browser/comparison_view.js" with { type: "text" };
import controlFieldJs from "./browser/control_field.js" with { type: "text" };
import curlCommandJs from "./browser/curl_command.js" with { type: "text" };
import decodeImageJs from "./browser/decode_image.js" with { type: "text" };
import earlyThemeJs from "./browser/early_theme.js" with { type: "text" };
import fieldErrorsJs from "./browser/field_errors.js" with { type: "text" };
import followEventsJs from "./browser/follow_events.js" with { type: "text" };
import formInputsJs from "./browser/form_inputs.js" with { type: "text" };
import formCss from "./browser/form.css" with { type: "text" };
import formMemoryJs from "./browser/form_memory.js" with { type: "text" };
import generateJs from "./browser/generate.js" with { type: "text" };
import generateVideoJs from "./browser/generate_video.js" with { type: "text" };
import historyCss from "./browser/history.css" with { type: "text" };
import historyJs from "./browser/history.js" with { type: "text" };
import historyItemJs from "./browser/history_item.js" with { type: "text" };
import historyViewJs from "./browser/history_view.js" with { type: "text" };
import iconSvg from "./browser/icon.svg" with { type: "text" };
import imageDifferenceJs from "./browser/image_difference.js" with { type: "text" };
import imageFieldJs from "./browser/image_field.js" with { type: "text" };
import indexHtml from "./browser/index.html" with { type: "text" };
import keptValuesJs from "./browser/kept_values.js" with { type: "text" };
import lastFrameFieldJs from "./browser/last_frame_field.js" with { type: "text" };
import laterStepsJs from "./browser/later_steps.js" with { type: "text" };
import layoutCss from "./browser/layout.css" with { type: "text" };
import listModelsJs from "./browser/list_models.js" with { type: "text" };
import mainJs from "./browser/main.js" with { type: "text" };
import maskPainterJs from "./browser/mask_painter.js" with { type: "text" };
import methodFieldsJs from "./browser/method_fields.js" with { type: "text" };
import methodOptionsJs from "./browser/method_options.js" with { type: "text" };
import modelFactsJs from "./browser/model_facts.js" with { type: "text" };
import modelFieldsJs from "./browser/model_fields.js" with { type: "text" };
import modelNamesJs from "./browser/model_names.js" with { type: "text" };
import movingPictureJs from "./browser/moving_picture.js" with { type: "text" };
import openRunsJs from "./browser/open_runs.js" with { type: "text" };
import optionFieldsJs from "./browser/option_fields.js" with { type: "text" };
import passesFieldJs from "./browser/passes_field.js" with { type: "text" };
import pictureGridJs from "./browser/picture_grid.js" with { type: "text" };
import pictureNameJs from "./browser/picture_name.js" with { type: "text" };
import pictureRecordJs from "./browser/picture_record.js" with { type: "text" };
import pictureSizeJs from "./browser/picture_size.js" with { type: "text" };
import planStepsJs from "./browser/plan_steps.js" with { type: "text" };
import promptSuggestionsJs from "./browser/prompt_suggestions.js" with { type: "text" };
import receiptViewJs from "./browser/receipt_view.js" with { type: "text" };
import reconnectJs from "./browser/reconnect.js" with { type: "text" };
import referencesFieldJs from "./browser/references_field.js" with { type: "text" };
import requestFormJs from "./browser/request_form.js" with { type: "text" };
import runCss from "./browser/run.css" with { type: "text" };
import runOfferJs from "./browser/run_offer.js" with { type: "text" };
import runProgressJs from "./browser/run_progress.js" with { type: "text" };
import runRequestJs from "./browser/run_request.js" with { type: "text" };
import runSignsJs from "./browser/run_signs.js" with { type: "text" };
import runViewJs from "./browser/run_view.js" with { type: "text" };
import scalingChoiceJs from "./browser/scaling_choice.js" with { type: "text" };
import seedFieldJs from "./browser/seed_field.js" with { type: "text" };
import settledJs from "./browser/settled.js" with { type: "text" };
import showFactsJs from "./browser/show_facts.js" with { type: "text" };
import slotsJs from "./browser/slots.js" with { type: "text" };
import sseEventsJs from "./browser/sse_events.js" with { type: "text" };
import stageJs from "./browser/stage.js" with { type: "text" };
import stepStripJs from "./browser/step_strip.js" with { type: "text" };
import takeImagesJs from "./browser/take_images.js" with { type: "text" };
import themeCss from "./browser/theme.css" with { type: "text" };
import themeButtonJs from "./browser/theme_button.js" with { type: "text" };
import videoFieldsJs from "./browser/video_fields.js" with { type: "text" };
import zipFileJs from "./browser/zip_file.js" with { type: "text" };
import zoomCss from "./browser/zoom.css" with { type: "text" };
import zoomDialogJs from "./browser/zoom_dialog.js" with { type: "text" };
import {
  METHOD_OPTIONS,
  METHODS,
  OPTIONS,
  QUALITY_LEVELS,
  SAMPLER_DEFAULTS,
} from "../../sampler/options/mod.ts";

/** File name in browser/ -> its text. */
export const ASSETS: Readonly<Record<string, string>> = {
  "announcer.js": announcerJs,
  "api_error.js": apiErrorJs,
  "api_key.js": apiKeyJs,
  "before_image.js": beforeImageJs,
  "calibrated_plan.js": calibratedPlanJs,
  "chosen_image.js": chosenImageJs,
  "comparison_view.js": comparisonViewJs,
  "control_field.js": controlFieldJs,
  "curl_command.js": curlCommandJs,
  "decode_image.js": decodeImageJs,
  "early_theme.js": earlyThemeJs,
  "field_errors.js": fieldErrorsJs,
  "follow_events.js": followEventsJs,
  "form_inputs.js": formInputsJs,
  "form.css": formCss,
  "form_memory.js": formMemoryJs,
  "generate.js": generateJs,
  "generate_video.js": generateVideoJs,
  "history.css": historyCss,
  "history.js": historyJs,
  "history_item.js": historyItemJs,
  "history_view.js": historyViewJs,
  "icon.svg": iconSvg,
  "image_difference.js": imageDifferenceJs,
  "image_field.js": imageFieldJs,
  "index.html": indexHtml,
  "kept_values.js": keptValuesJs,
  "last_frame_field.js": lastFrameFieldJs,
  "later_steps.js": laterStepsJs,
  "layout.css": layoutCss,
  "list_models.js": listModelsJs,
  "main.js": mainJs,
  "mask_painter.js": maskPainterJs,
  "method_fields.js": methodFieldsJs,
  "method_options.js": methodOptionsJs,
  "model_facts.js": modelFactsJs,
  "model_fields.js": modelFieldsJs,
  "model_names.js": modelNamesJs,
  "moving_picture.js": movingPictureJs,
  "open_runs.js": openRunsJs,
  "option_fields.js": optionFieldsJs,
  "passes_field.js": passesFieldJs,
  "picture_grid.js": pictureGridJs,
  "picture_name.js": pictureNameJs,
  "picture_record.js": pictureRecordJs,
  "picture_size.js": pictureSizeJs,
  "plan_steps.js": planStepsJs,
  "prompt_suggestions.js": promptSuggestionsJs,
  "receipt_view.js": receiptViewJs,
  "reconnect.js": reconnectJs,
  "references_field.js": referencesFieldJs,
  "request_form.js": requestFormJs,
  "run.css": runCss,
  "run_offer.js": runOfferJs,
  "run_progress.js": runProgressJs,
  "run_request.js": runRequestJs,
  "run_signs.js": runSignsJs,
  "run_view.js": runViewJs,
  "sampler_table.js": moduleOf({ METHOD_OPTIONS, METHODS, OPTIONS, QUALITY_LEVELS, SAMPLER_DEFAULTS }),
  "scaling_choice.js": scalingChoiceJs,
  "seed_field.js": seedFieldJs,
  "settled.js": settledJs,
  "show_facts.js": showFactsJs,
  "slots.js": slotsJs,
  "sse_events.js": sseEventsJs,
  "stage.js": stageJs,
  "step_strip.js": stepStripJs,
  "take_images.js": takeImagesJs,
  "theme.css": themeCss,
  "theme_button.js": themeButtonJs,
  "video_fields.js": videoFieldsJs,
  "zip_file.js": zipFileJs,
  "zoom.css": zoomCss,
  "zoom_dialog.js": zoomDialogJs,
};

/** Returns a module of constants: the page gets the sampler's table as data. */
function moduleOf(constants: Record<string, unknown>): string {
  const lines = Object.entries(constants).map(([name, value]) =>
    `export const ${name} = ${JSON.stringify(value)};`
  );
  return lines.join("\n");
}
